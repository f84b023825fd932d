//! Who answers a request. Until rules and targets are there: nobody does.

use std::sync::Arc;

use super::{Body, Connection, DataPlane, whole};

/// An answer, and what the access log says of it.
pub(super) struct Answered {
    /// The answer.
    pub(super) response: hyper::Response<Body>,
    /// What the access log says.
    pub(super) record: RequestRecord,
}

/// What the access log says of a request beside what the request itself says.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestRecord {
    /// `10.0.1.5:443`; none where no target was asked.
    pub(super) target: Option<String>,
    /// The status that the target answered with.
    pub(super) target_status: Option<u16>,
    /// The ARN of the target group.
    pub(super) target_group: Option<String>,
    /// The priority of the rule, 0 for the default action.
    pub(super) rule_priority: Option<u32>,
    /// `forward`, `redirect`, `fixed-response`; as they were executed.
    pub(super) actions: Vec<String>,
    /// Where a redirect leads.
    pub(super) redirect_url: Option<String>,
    /// Why an action failed.
    pub(super) error_reason: Option<String>,
    /// Seconds from the request to its being sent to the target, to the target's answer, and to the
    /// answer's being sent on; none where no target was asked.
    pub(super) times: Option<[f64; 3]>,
}

/// Answers one request that came in by a listener.
#[expect(
    clippy::unused_async,
    reason = "what stands here next waits for targets"
)]
pub(super) async fn respond(
    _plane: &Arc<DataPlane>,
    _connection: &Connection,
    _request: hyper::Request<Body>,
) -> Answered {
    const PAGE: &str = "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n";
    let mut response = hyper::Response::new(whole(PAGE));
    *response.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(
        hyper::header::SERVER,
        hyper::header::HeaderValue::from_static("awselb/2.0"),
    );
    headers.insert(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("text/html"),
    );
    let record = RequestRecord {
        rule_priority: Some(0),
        ..RequestRecord::default()
    };
    Answered { response, record }
}
