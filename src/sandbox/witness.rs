//! What clients would notice: a call that leads them to something that does not serve them.
//!
//! AWS accepts such calls, and so does the sandbox. It only notes them, in `noticed.log`, for whoever
//! wants to know whether a change was made without its clients' noticing. A load balancer is what
//! clients are led to by an alias record, or by a stage of an API through a VPC link.

use std::collections::BTreeSet;

use super::apigateway::outage as behind_stages;
use super::elbv2::outage::outages;
use super::world::World;

/// What does not work for clients now.
pub(super) fn outages_of(world: &World) -> BTreeSet<String> {
    let regions = world.regions.keys();
    let linked = world
        .regions
        .keys()
        .flat_map(|region| behind_stages::outages(world, region));
    let all = regions.flat_map(|region| {
        world.route53.aliases().flat_map(move |(name, target)| {
            let outages = outages(world, region, target).into_iter();
            outages.map(move |outage| format!("{name} leads to {target}, which {outage}"))
        })
    });
    all.chain(linked).collect()
}
