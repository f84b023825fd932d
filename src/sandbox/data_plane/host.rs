//! The registered hosts: loopback servers that stand for what is at an address, an instance or a
//! name of the simulated network.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use crate::sandbox::world::World;

/// Registers `10.0.1.5:443=127.0.0.1:8443`, in place of what was registered there.
pub(in crate::sandbox) fn register(world: &mut World, text: &str) -> Result<Value, String> {
    let text = text.trim();
    let Some((place, server)) = text.split_once('=') else {
        return Err(format!(
            "`{text}` is not of the form ADDRESS:PORT=127.0.0.1:PORT"
        ));
    };
    let place = check(place)?;
    let server: SocketAddr = server
        .trim()
        .parse()
        .map_err(|_| format!("`{server}` is no address and port, such as 127.0.0.1:8443"))?;
    if !server.ip().is_loopback() {
        return Err(format!(
            "{server} is not on the loopback interface, which the sandbox does not leave"
        ));
    }
    world.hosts.insert(place, server);
    Ok(listed(world))
}

/// Removes what is registered at `10.0.1.5:443`.
pub(in crate::sandbox) fn remove(world: &mut World, text: &str) -> Result<Value, String> {
    let place = check(text.trim())?;
    if world.hosts.remove(&place).is_none() {
        return Err(format!("no server is registered at {place}"));
    }
    Ok(listed(world))
}

/// All registered hosts.
pub(in crate::sandbox) fn listed(world: &World) -> Value {
    json!(world.hosts)
}

/// The place in the form that it is kept in, if it can be one.
fn check(place: &str) -> Result<String, String> {
    let problem = |what: &str| Err(format!("`{place}` is no place of a server: {what}"));
    let Some((host, port)) = place.trim().rsplit_once(':') else {
        return problem("it has no port");
    };
    if port.parse::<u16>().is_ok_and(|port| port > 0) {
        let host = host.to_ascii_lowercase();
        let is_address = host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| !address.is_loopback());
        let is_number = host
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let is_name = host
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(is_label));
        if is_address || !is_number && is_name {
            return Ok(format!("{host}:{port}"));
        }
        return problem("it is neither an IPv4 address, an instance's id nor a name");
    }
    problem("its port is none")
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_registered_replaced_and_removed() {
        let mut world = World::fresh("123456789012");
        register(&mut world, "10.0.1.5:443=127.0.0.1:8443").expect("a place");
        register(&mut world, "Backend.example.com:80=127.0.0.1:8080\n").expect("a name");
        let hosts = register(&mut world, "10.0.1.5:443=127.0.0.1:9443").expect("a place");
        assert_eq!(
            hosts,
            json!({"10.0.1.5:443": "127.0.0.1:9443", "backend.example.com:80": "127.0.0.1:8080"})
        );
        remove(&mut world, "10.0.1.5:443").expect("was there");
        assert!(remove(&mut world, "10.0.1.5:443").is_err());
    }

    #[test]
    fn what_is_no_place_and_what_leaves_the_machine_is_refused() {
        let mut world = World::fresh("123456789012");
        for wrong in [
            "10.0.1.5=127.0.0.1:1",
            "10.0.1:443=127.0.0.1:1",
            "127.0.0.1:443=127.0.0.1:1",
            "a b:443=127.0.0.1:1",
            "10.0.1.5:0=127.0.0.1:1",
            "10.0.1.5:443=192.0.2.1:1",
            "10.0.1.5:443=localhost",
            "10.0.1.5:443",
        ] {
            assert!(register(&mut world, wrong).is_err(), "{wrong}");
        }
        assert_eq!(listed(&world), json!({}));
    }
}
