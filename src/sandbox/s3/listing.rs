//! Lists of keys and of versions, page by page.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{Bucket, Content, Version, bucket_of};
use crate::sandbox::world::{Call, Refusal, World, seconds};

/// What `EncodingType: url` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// One thing in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry<'b> {
    /// A key.
    Key(&'b str),
    /// All keys that have this in front of a delimiter.
    Prefix(&'b str),
}

impl<'b> Entry<'b> {
    fn text(&self) -> &'b str {
        match self {
            Self::Key(text) | Self::Prefix(text) => text,
        }
    }
}

/// What a list is to hold.
struct Query<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    after: &'a str,
    most: usize,
    is_url_encoded: bool,
}

impl<'a> Query<'a> {
    fn of(call: &Call<'a>, after: Option<&'a str>) -> Self {
        let most = call
            .integer("MaxKeys")
            .and_then(|most| usize::try_from(most).ok())
            .unwrap_or(1000);
        Self {
            prefix: call.text("Prefix").unwrap_or_default(),
            delimiter: call.text("Delimiter").unwrap_or_default(),
            after: after.unwrap_or_default(),
            most: most.min(1000),
            is_url_encoded: call.text("EncodingType") == Some("url"),
        }
    }

    /// The entries behind `after`, and whether there are more of them than a page holds.
    fn page<'b>(&self, keys: impl Iterator<Item = &'b str>) -> (Vec<Entry<'b>>, bool) {
        let mut entries: Vec<Entry<'b>> = Vec::new();
        for key in keys.filter(|key| key.starts_with(self.prefix)) {
            let entry = self.entry(key);
            let is_seen = match entry {
                Entry::Key(key) => key <= self.after,
                // A prefix that the last page ended with is not listed again.
                Entry::Prefix(prefix) => prefix <= self.after || self.after.starts_with(prefix),
            };
            if !is_seen && entries.last() != Some(&entry) {
                entries.push(entry);
            }
        }
        let is_truncated = entries.len() > self.most;
        entries.truncate(self.most);
        (entries, is_truncated)
    }

    fn entry<'b>(&self, key: &'b str) -> Entry<'b> {
        let behind = &key[self.prefix.len()..];
        let found = Some(self.delimiter).filter(|delimiter| !delimiter.is_empty());
        match found.and_then(|delimiter| behind.find(delimiter)) {
            Some(at) => Entry::Prefix(&key[..self.prefix.len() + at + self.delimiter.len()]),
            None => Entry::Key(key),
        }
    }

    fn encoded(&self, text: &str) -> Value {
        let text = if self.is_url_encoded {
            utf8_percent_encode(text, PLAIN).to_string()
        } else {
            text.to_owned()
        };
        Value::from(text)
    }

    /// What all lists begin with.
    fn head(
        &self,
        call: &Call<'_>,
        (entries, is_truncated): (&[Entry<'_>], bool),
    ) -> Map<String, Value> {
        let prefixes = entries.iter().filter_map(|entry| match entry {
            Entry::Prefix(prefix) => Some(json!({ "Prefix": self.encoded(prefix) })),
            Entry::Key(_) => None,
        });
        let mut head = Map::new();
        let mut set = |name: &str, value: Value| head.insert(name.to_owned(), value);
        set("Name", call.required("Bucket").into());
        set("Prefix", self.encoded(self.prefix));
        set("MaxKeys", self.most.into());
        set("IsTruncated", is_truncated.into());
        set("CommonPrefixes", prefixes.collect());
        if !self.delimiter.is_empty() {
            set("Delimiter", self.encoded(self.delimiter));
        }
        if self.is_url_encoded {
            set("EncodingType", "url".into());
        }
        head
    }

    fn contents(&self, bucket: &Bucket, entries: &[Entry<'_>]) -> Value {
        let keys = entries.iter().filter_map(|entry| match entry {
            Entry::Key(key) => Some(*key),
            Entry::Prefix(_) => None,
        });
        let object = |key: &str| {
            let (version, content) = live(bucket, key)?;
            Some(self.object(key, version, content))
        };
        keys.filter_map(object).collect()
    }

    fn object(&self, key: &str, version: &Version, content: &Content) -> Value {
        json!({
            "Key": self.encoded(key),
            "LastModified": seconds(version.modified),
            "ETag": content.etag,
            "Size": content.size,
            "StorageClass": "STANDARD",
        })
    }
}

/// A key's current version, unless it is a delete marker.
fn live<'b>(bucket: &'b Bucket, key: &str) -> Option<(&'b Version, &'b Content)> {
    let version = bucket.objects.get(key)?.last()?;
    Some((version, version.content.as_ref()?))
}

fn live_keys(bucket: &Bucket) -> impl Iterator<Item = &str> {
    bucket
        .objects
        .keys()
        .map(String::as_str)
        .filter(|key| live(bucket, key).is_some())
}

/// Lists keys.
pub(super) fn objects_v2(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let bucket = bucket_of(world, call)?;
    let query = Query::of(
        call,
        call.text("ContinuationToken").or(call.text("StartAfter")),
    );
    let (entries, is_truncated) = query.page(live_keys(bucket));
    let mut answer = query.head(call, (&entries, is_truncated));
    let mut set = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    let mut contents = query.contents(bucket, &entries);
    if call.boolean("FetchOwner") == Some(true) {
        for object in contents.as_array_mut().into_iter().flatten() {
            object["Owner"] = json!({ "ID": bucket.owner });
        }
    }
    set("Contents", contents);
    set("KeyCount", entries.len().into());
    set("ContinuationToken", call.text("ContinuationToken").into());
    set(
        "StartAfter",
        call.text("StartAfter")
            .map(|text| query.encoded(text))
            .into(),
    );
    set("NextContinuationToken", next(&entries, is_truncated).into());
    Ok(Value::Object(answer))
}

/// Lists keys, in the older manner.
pub(super) fn objects(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let bucket = bucket_of(world, call)?;
    let query = Query::of(call, call.text("Marker"));
    let (entries, is_truncated) = query.page(live_keys(bucket));
    let mut answer = query.head(call, (&entries, is_truncated));
    let mut set = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    set("Contents", query.contents(bucket, &entries));
    set("Marker", query.encoded(query.after));
    // Only then; otherwise the last key is the next marker.
    let marker = next(&entries, is_truncated).filter(|_| !query.delimiter.is_empty());
    set("NextMarker", marker.map(|text| query.encoded(text)).into());
    Ok(Value::Object(answer))
}

fn next<'b>(entries: &[Entry<'b>], is_truncated: bool) -> Option<&'b str> {
    entries.last().filter(|_| is_truncated).map(Entry::text)
}

/// Lists versions and delete markers, the newest of each key first.
///
/// A page ends with a key, so that its versions are never torn apart.
pub(super) fn versions(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let bucket = bucket_of(world, call)?;
    let query = Query::of(call, call.text("KeyMarker"));
    let (entries, is_truncated) = query.page(bucket.objects.keys().map(String::as_str));
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for entry in &entries {
        let Entry::Key(key) = entry else { continue };
        let history = bucket
            .objects
            .get(*key)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for (age, version) in history.iter().rev().enumerate() {
            let (list, mut listed) = if let Some(content) = &version.content {
                (&mut versions, query.object(key, version, content))
            } else {
                let modified = seconds(version.modified);
                (
                    &mut markers,
                    json!({ "Key": query.encoded(key), "LastModified": modified }),
                )
            };
            listed["VersionId"] = version.id.as_str().into();
            listed["IsLatest"] = (age == 0).into();
            list.push(listed);
        }
    }
    let mut answer = query.head(call, (&entries, is_truncated));
    let mut set = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    set("Versions", versions.into());
    set("DeleteMarkers", markers.into());
    set("KeyMarker", query.encoded(query.after));
    set(
        "NextKeyMarker",
        next(&entries, is_truncated)
            .map(|text| query.encoded(text))
            .into(),
    );
    Ok(Value::Object(answer))
}

#[cfg(test)]
mod tests {
    use crate::sandbox::s3::test::{answer, bucket, world};
    use serde_json::{Value, json};

    /// Texts of a member of all entries of a list.
    fn texts<'v>(list: &'v Value, member: &str) -> Vec<&'v str> {
        let entries = list.as_array().into_iter().flatten();
        entries.filter_map(|entry| entry[member].as_str()).collect()
    }

    #[test]
    fn pages_join_to_the_whole_and_prefixes_are_told_once() {
        let mut world = world();
        bucket(&mut world, "bbb");
        for key in ["a", "d/1", "d/2", "e/1", "f"] {
            answer(
                &mut world,
                "PutObject",
                &json!({ "Bucket": "bbb", "Key": key }),
            );
        }
        let mut input = json!({ "Bucket": "bbb", "MaxKeys": 2, "Delimiter": "/" });
        let mut found = Vec::new();
        loop {
            let page = answer(&mut world, "ListObjectsV2", &input);
            found.extend(
                texts(&page["Contents"], "Key")
                    .into_iter()
                    .map(str::to_owned),
            );
            found.extend(
                texts(&page["CommonPrefixes"], "Prefix")
                    .into_iter()
                    .map(str::to_owned),
            );
            if page["IsTruncated"] == false {
                break;
            }
            input["ContinuationToken"] = page["NextContinuationToken"].clone();
        }
        // Within a page, keys and prefixes are lists of their own.
        found.sort();
        assert_eq!(found, ["a", "d/", "e/", "f"]);
    }

    #[test]
    fn keys_are_escaped_where_it_is_asked_for() {
        let mut world = world();
        bucket(&mut world, "bbb");
        answer(
            &mut world,
            "PutObject",
            &json!({ "Bucket": "bbb", "Key": "a b/+" }),
        );
        let page = answer(
            &mut world,
            "ListObjectsV2",
            &json!({ "Bucket": "bbb", "EncodingType": "url" }),
        );
        assert_eq!(texts(&page["Contents"], "Key"), ["a%20b/%2B"]);
    }
}
