//! Plain HTTP leads to HTTPS.

use super::{Context, Outcome};
use crate::verify::http::{self, Ask};
use crate::verify::network::Unreachable;

/// The port of plain HTTP.
const PORT: u16 = 80;

/// Port 80 sends clients to the listener, and nowhere else.
pub(super) async fn redirect(cx: Context<'_>) -> Outcome {
    let to = format!("https://{}", cx.gateway.address());
    let expected = format!("redirected to {to}");
    if !cx.gateway.redirects {
        return Outcome::skipped(expected, "redirect_http: true in the stack");
    }
    let path = &cx.request.path;
    let asked = async {
        let stream = cx.network.connect(&cx.gateway.name, PORT).await?;
        Ok::<_, Unreachable>(http::ask(stream, &Ask::path(path), (&cx.gateway.name, false)).await)
    };
    match tokio::time::timeout(cx.limit, asked).await {
        Ok(Ok(Ok(answer))) => {
            let location = answer.header("location").unwrap_or_default();
            let is_good = (301..=302).contains(&answer.status)
                && leads_to(location, &cx.gateway.name, cx.gateway.port, path);
            let observed = match location {
                "" => answer.text(),
                location => format!("{} to {location}", answer.text()),
            };
            Outcome::judged(expected, observed, is_good)
                .because("plain HTTP is answered, and not by a redirect to HTTPS")
        }
        Ok(Ok(Err(end))) => Outcome::judged(expected, end.reason, false)
            .because("port 80 takes connections and answers no HTTP"),
        Ok(Err(unreachable)) => Outcome::unreachable(expected, unreachable),
        Err(_) => {
            let why = format!("no answer within {} s", cx.limit.as_secs_f32());
            Outcome::unreachable(expected, why)
        }
    }
}

/// Whether a location is the same path over HTTPS; the usual port may be left out.
fn leads_to(location: &str, name: &str, port: u16, path: &str) -> bool {
    let hosts = [
        Some(format!("https://{name}:{port}")),
        (port == 443).then(|| format!("https://{name}")),
    ];
    hosts
        .into_iter()
        .flatten()
        .any(|host| location == format!("{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_name_and_path() {
        let leads = |location, port| leads_to(location, "api.example.com", port, "/pets?a=1");
        assert!(leads("https://api.example.com:443/pets?a=1", 443));
        assert!(leads("https://api.example.com/pets?a=1", 443));
        assert!(leads("https://api.example.com:8443/pets?a=1", 8443));
        assert!(!leads("https://api.example.com/pets?a=1", 8443));
        assert!(!leads("http://api.example.com/pets?a=1", 443));
        assert!(!leads("https://other.example.com/pets?a=1", 443));
        assert!(!leads("https://api.example.com/", 443));
    }
}
