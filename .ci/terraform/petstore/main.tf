# System P as Terraform users write it: applied to the embedded AWS, and taken over from mtlsgw.
#
# The variables are what mtlsgw chooses otherwise; see terraform.py.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  type = string
}

variable "certificate_name" {
  default = "*.example.com"
}

variable "names" {
  type = map(string)
  default = {
    balancer       = "tf-front"
    balancer_group = "tf-balancer"
    endpoint_group = "tf-endpoint"
    target_group   = "tf-endpoint"
    trust_store    = "tf-clients"
    api            = "tf-pets"
  }
}

variable "descriptions" {
  type = map(string)
  default = {
    balancer_group = "Managed by Terraform"
    endpoint_group = "Managed by Terraform"
  }
}

variable "subnets" {
  type    = list(string)
  default = []
}

locals {
  subnets = length(var.subnets) > 0 ? var.subnets : slice(sort(data.aws_subnets.default.ids), 0, 2)
}

provider "aws" {
  region                  = "ap-northeast-1"
  access_key              = "outside"
  secret_key              = "outside"
  skip_metadata_api_check = true
  skip_region_validation  = true
  s3_use_path_style       = true
  endpoints {
    acm        = var.endpoint
    apigateway = var.endpoint
    ec2        = var.endpoint
    elbv2      = var.endpoint
    route53    = var.endpoint
    s3         = var.endpoint
    sts        = var.endpoint
    iam        = var.endpoint
  }
}
data "aws_vpc" "default" { default = true }
data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
data "aws_route53_zone" "zone" { name = "example.com" }

resource "aws_acm_certificate" "server" {
  domain_name       = var.certificate_name
  validation_method = "DNS"
  lifecycle { create_before_destroy = true }
}
resource "aws_route53_record" "validation" {
  for_each = { for one in aws_acm_certificate.server.domain_validation_options : one.domain_name => one }
  zone_id  = data.aws_route53_zone.zone.zone_id
  name     = each.value.resource_record_name
  type     = each.value.resource_record_type
  records  = [each.value.resource_record_value]
  ttl      = 60
}
resource "aws_acm_certificate_validation" "server" {
  certificate_arn         = aws_acm_certificate.server.arn
  validation_record_fqdns = [for one in aws_route53_record.validation : one.fqdn]
}
resource "aws_s3_bucket" "trust" {
  bucket        = "tf-trust-material"
  force_destroy = true
}
resource "aws_s3_object" "bundle" {
  bucket = aws_s3_bucket.trust.id
  key    = "root_cert.pem"
  source = "root_cert.pem"
  etag   = filemd5("root_cert.pem")
}
resource "aws_s3_object" "crl" {
  bucket = aws_s3_bucket.trust.id
  key    = "root.crl"
  source = "root.crl"
  etag   = filemd5("root.crl")
}
resource "aws_lb_trust_store" "clients" {
  name                             = var.names.trust_store
  ca_certificates_bundle_s3_bucket = aws_s3_bucket.trust.id
  ca_certificates_bundle_s3_key    = aws_s3_object.bundle.key
}
resource "aws_lb_trust_store_revocation" "crl" {
  trust_store_arn       = aws_lb_trust_store.clients.arn
  revocations_s3_bucket = aws_s3_bucket.trust.id
  revocations_s3_key    = aws_s3_object.crl.key
}
resource "aws_security_group" "balancer" {
  name        = var.names.balancer_group
  description = var.descriptions.balancer_group
  vpc_id      = data.aws_vpc.default.id
}
resource "aws_vpc_security_group_ingress_rule" "clients" {
  security_group_id = aws_security_group.balancer.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
resource "aws_vpc_security_group_egress_rule" "endpoint" {
  security_group_id = aws_security_group.balancer.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}
resource "aws_security_group" "endpoint" {
  name        = var.names.endpoint_group
  description = var.descriptions.endpoint_group
  vpc_id      = data.aws_vpc.default.id
  ingress {
    protocol        = "tcp"
    from_port       = 443
    to_port         = 443
    security_groups = [aws_security_group.balancer.id]
  }
}
resource "aws_vpc_endpoint" "api" {
  vpc_id              = data.aws_vpc.default.id
  service_name        = "com.amazonaws.ap-northeast-1.execute-api"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = local.subnets
  security_group_ids  = [aws_security_group.endpoint.id]
  private_dns_enabled = false
}
data "aws_network_interface" "endpoint" {
  count = length(local.subnets)
  id    = sort(tolist(aws_vpc_endpoint.api.network_interface_ids))[count.index]
}
resource "aws_api_gateway_rest_api" "pets" {
  name = var.names.api
  endpoint_configuration {
    types            = ["PRIVATE"]
    vpc_endpoint_ids = [aws_vpc_endpoint.api.id]
  }
  body = jsonencode({
    openapi = "3.0.1"
    info    = { title = "tf-pets", version = "1" }
    paths = { "/pets" = { get = {
      responses = { "200" = { description = "pets" } }
      x-amazon-apigateway-integration = {
        type             = "mock"
        requestTemplates = { "application/json" = "{\"statusCode\": 200}" }
        responses        = { default = { statusCode = "200" } }
      }
    } } }
  })
}
resource "aws_api_gateway_rest_api_policy" "pets" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = "*", Action = "execute-api:Invoke", Resource = "${aws_api_gateway_rest_api.pets.execution_arn}/*" },
      { Effect = "Deny", Principal = "*", Action = "execute-api:Invoke", Resource = "${aws_api_gateway_rest_api.pets.execution_arn}/*",
      Condition = { StringNotEquals = { "aws:SourceVpc" = data.aws_vpc.default.id } } },
    ]
  })
}
resource "aws_api_gateway_deployment" "pets" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  triggers    = { body = sha1(aws_api_gateway_rest_api.pets.body), policy = sha1(aws_api_gateway_rest_api_policy.pets.policy) }
  lifecycle { create_before_destroy = true }
}
resource "aws_api_gateway_stage" "dev" {
  rest_api_id   = aws_api_gateway_rest_api.pets.id
  deployment_id = aws_api_gateway_deployment.pets.id
  stage_name    = "dev"
}
resource "aws_api_gateway_domain_name" "api" {
  domain_name              = "api.example.com"
  regional_certificate_arn = aws_acm_certificate_validation.server.certificate_arn
  security_policy          = "TLS_1_2"
  endpoint_configuration { types = ["REGIONAL"] }
}
resource "aws_api_gateway_base_path_mapping" "api" {
  api_id      = aws_api_gateway_rest_api.pets.id
  stage_name  = aws_api_gateway_stage.dev.stage_name
  domain_name = aws_api_gateway_domain_name.api.domain_name
}
resource "aws_lb" "front" {
  name               = var.names.balancer
  load_balancer_type = "application"
  internal           = false
  subnets            = local.subnets
  security_groups    = [aws_security_group.balancer.id]
}
resource "aws_lb_target_group" "endpoint" {
  name        = var.names.target_group
  vpc_id      = data.aws_vpc.default.id
  target_type = "ip"
  protocol    = "HTTPS"
  port        = 443
  health_check {
    protocol = "HTTPS"
    matcher  = "403"
  }
}
resource "aws_lb_target_group_attachment" "endpoint" {
  count            = length(local.subnets)
  target_group_arn = aws_lb_target_group.endpoint.arn
  target_id        = data.aws_network_interface.endpoint[count.index].private_ip
}
resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.front.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-3-2021-06"
  certificate_arn   = aws_acm_certificate_validation.server.certificate_arn
  mutual_authentication {
    mode            = "verify"
    trust_store_arn = aws_lb_trust_store.clients.arn
  }
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.endpoint.arn
  }
  depends_on = [aws_lb_trust_store_revocation.crl]
}
resource "aws_route53_record" "api" {
  zone_id = data.aws_route53_zone.zone.zone_id
  name    = "api.example.com"
  type    = "A"
  alias {
    name                   = aws_lb.front.dns_name
    zone_id                = aws_lb.front.zone_id
    evaluate_target_health = false
  }
}
