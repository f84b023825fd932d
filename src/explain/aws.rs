//! Errors of AWS, by service.
//!
//! A code that several services have stands with those that any service may answer.

mod any;
mod apigateway;
mod elbv2;
mod network;
mod storage;

pub(super) use any::ANY;
pub(super) use apigateway::APIGATEWAY;
pub(super) use elbv2::ELBV2;
pub(super) use network::EC2;
pub(super) use storage::{ACM, ROUTE53, S3};
