//! Availability zones.

use serde_json::{Value, json};

use super::query::Listing;
use crate::sandbox::world::{Call, Refusal};

const ZONES: Listing = Listing {
    output: "AvailabilityZones",
    ids: "ZoneNames",
    id: "ZoneName",
    prefix: "",
    noun: "availability zone",
    not_found: "InvalidParameterValue",
    malformed: "InvalidParameterValue",
    filters: &[
        ("group-name", "GroupName"),
        ("opt-in-status", "OptInStatus"),
        ("region-name", "RegionName"),
        ("state", "State"),
        ("zone-id", "ZoneId"),
        ("zone-name", "ZoneName"),
        ("zone-type", "ZoneType"),
    ],
};

/// The region's zones: `a`, `b`, `c`, but no `b` in ap-northeast-1, which newer accounts do not
/// have.
pub(super) fn zones(region: &str) -> [String; 3] {
    let letters = if region == "ap-northeast-1" {
        ["a", "c", "d"]
    } else {
        ["a", "b", "c"]
    };
    letters.map(|letter| format!("{region}{letter}"))
}

/// The id that a zone has in all accounts: `use1-az1` for `us-east-1a`.
pub(super) fn zone_id(region: &str, zone: &str) -> String {
    let number = zones(region)
        .iter()
        .position(|name| name == zone)
        .map_or(0, |place| place + 1);
    let mut short = String::new();
    for part in region.split('-') {
        short.push_str(match part {
            "northeast" => "ne",
            "northwest" => "nw",
            "southeast" => "se",
            "southwest" => "sw",
            "north" | "south" | "east" | "west" | "central" | "gov" => &part[..1],
            other => other,
        });
    }
    format!("{short}-az{number}")
}

/// Answers `DescribeAvailabilityZones`.
pub(super) fn describe_availability_zones(call: &Call<'_>) -> Result<Value, Refusal> {
    let described = zones(call.region).map(|zone| {
        json!({
            "ZoneName": zone,
            "ZoneId": zone_id(call.region, &zone),
            "ZoneType": "availability-zone",
            "RegionName": call.region,
            "GroupName": format!("{}-zg-1", call.region),
            "NetworkBorderGroup": call.region,
            "OptInStatus": "opt-in-not-required",
            "State": "available",
            "Messages": [],
        })
    });
    for zone in call.texts("ZoneNames") {
        if described.iter().all(|known| known["ZoneName"] != *zone) {
            return Err(Refusal::new(
                "InvalidParameterValue",
                format!("Invalid availability zone: [{zone}]"),
            ));
        }
    }
    ZONES.answer(call, described.into())
}

/// The zone that the call names, or the region's first.
pub(super) fn zone_of(call: &Call<'_>) -> Result<String, Refusal> {
    let zones = zones(call.region);
    let Some(wanted) = call.text("AvailabilityZone") else {
        return Ok(zones[0].clone());
    };
    if zones.iter().any(|zone| zone == wanted) {
        return Ok(wanted.to_owned());
    }
    let message = format!(
        "Value ({wanted}) for parameter availabilityZone is invalid. \
         Subnets can currently only be created in the \
         following availability zones: {}.",
        zones.join(", ")
    );
    Err(Refusal::new("InvalidParameterValue", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_ids_follow_the_regions_abbreviation() {
        assert_eq!(zone_id("us-east-1", "us-east-1a"), "use1-az1");
        assert_eq!(zone_id("ap-northeast-1", "ap-northeast-1c"), "apne1-az2");
        assert_eq!(zone_id("us-gov-west-1", "us-gov-west-1c"), "usgw1-az3");
    }
}
