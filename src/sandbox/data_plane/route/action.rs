//! Redirects, and the patterns of conditions.

use hyper::{StatusCode, Uri};

use crate::sandbox::elbv2::action::Effect;

/// Where a redirect leads from a request to a host on a listener's port; the port is always part of
/// it.
pub(super) fn redirected(
    effect: &Effect,
    (is_secure, host, port): (bool, &str, i64),
    target: &Uri,
) -> Option<(StatusCode, String)> {
    let Effect::Redirect {
        protocol,
        port: to_port,
        host: to_host,
        path,
        query,
        status_code,
    } = effect
    else {
        return None;
    };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let port = port.to_string();
    let scheme = if is_secure { "https" } else { "http" };
    let filled = |text: &str| {
        text.replace("#{protocol}", scheme)
            .replace("#{host}", name)
            .replace("#{port}", &port)
            .replace("#{path}", target.path().trim_start_matches('/'))
            .replace("#{query}", target.query().unwrap_or_default())
    };
    let query = filled(query);
    let query = if query.is_empty() {
        query
    } else {
        format!("?{query}")
    };
    let location = format!(
        "{}://{}:{}{}{query}",
        filled(protocol).to_ascii_lowercase(),
        filled(to_host),
        filled(to_port),
        filled(path),
    );
    let status = match status_code.as_str() {
        "HTTP_301" => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::FOUND,
    };
    Some((status, location))
}

/// Whether a text fits a pattern, in which `*` stands for any characters and `?` for one.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // Whether the pattern up to here fits the first so many characters of the text.
    let mut fits: Vec<bool> = std::iter::once(true)
        .chain(std::iter::repeat_n(false, text.len()))
        .collect();
    for wanted in pattern {
        let mut next = vec![false; text.len() + 1];
        next[0] = wanted == '*' && fits[0];
        for (place, found) in text.iter().enumerate() {
            next[place + 1] = match wanted {
                '*' => fits[place + 1] || next[place],
                '?' => fits[place],
                wanted => fits[place] && wanted == *found,
            };
        }
        fits = next;
    }
    fits.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(parts: [&str; 5]) -> Effect {
        let [protocol, port, host, path, query] = parts.map(str::to_owned);
        Effect::Redirect {
            protocol,
            port,
            host,
            path,
            query,
            status_code: "HTTP_301".to_owned(),
        }
    }

    #[test]
    fn a_redirect_fills_in_what_it_keeps_of_the_request() {
        let target: Uri = "/pets/1?type=cat".parse().expect("a target");
        let from = (false, "aaa.example.com:80", 80);
        let https = redirect(["HTTPS", "443", "#{host}", "/#{path}", "#{query}"]);
        assert_eq!(
            redirected(&https, from, &target),
            Some((
                StatusCode::MOVED_PERMANENTLY,
                "https://aaa.example.com:443/pets/1?type=cat".to_owned()
            ))
        );
        let elsewhere = redirect([
            "#{protocol}",
            "#{port}",
            "www.example.com",
            "/from/#{host}",
            "",
        ]);
        let location = redirected(&elsewhere, from, &target).map(|(_, location)| location);
        assert_eq!(
            location.as_deref(),
            Some("http://www.example.com:80/from/aaa.example.com")
        );
    }

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, text) in [
            ("/a*", "/abc"),
            ("*", ""),
            ("*.example.com", "a.example.com"),
            ("/?/*x", "/1/yx"),
        ] {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("/a*", "/b"),
            ("?", ""),
            ("*.example.com", "example.com"),
            ("/a", "/ab"),
        ] {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }
}
