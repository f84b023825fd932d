# System C as Terraform users write it: two servers behind client certificates.

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

locals {
  subnets = slice(sort(data.aws_subnets.default.ids), 0, 2)
}

data "aws_caller_identity" "me" {}

resource "aws_acm_certificate" "server" {
  private_key       = file("servers_key.pem")
  certificate_body  = file("servers_cert.pem")
  certificate_chain = file("root_cert.pem")
}

resource "aws_s3_bucket" "logs" {
  bucket        = "tf-connection-logs"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id
  rule {
    id     = "old"
    status = "Enabled"
    filter {}
    expiration {
      days = 90
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.logs.arn}/AWSLogs/${data.aws_caller_identity.me.account_id}/*"
    }]
  })
}

resource "aws_s3_object" "bundle" {
  bucket = aws_s3_bucket.logs.id
  key    = "trust/root_cert.pem"
  source = "root_cert.pem"
}

resource "aws_s3_object" "crl" {
  bucket = aws_s3_bucket.logs.id
  key    = "trust/root.crl"
  source = "root.crl"
}

resource "aws_lb_trust_store" "clients" {
  name                             = "tf-servers"
  ca_certificates_bundle_s3_bucket = aws_s3_bucket.logs.id
  ca_certificates_bundle_s3_key    = aws_s3_object.bundle.key
}

resource "aws_lb_trust_store_revocation" "crl" {
  trust_store_arn       = aws_lb_trust_store.clients.arn
  revocations_s3_bucket = aws_s3_bucket.logs.id
  revocations_s3_key    = aws_s3_object.crl.key
}

resource "aws_security_group" "balancer" {
  name   = "tf-servers"
  vpc_id = data.aws_vpc.default.id
  ingress {
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }
  ingress {
    protocol    = "tcp"
    from_port   = 80
    to_port     = 80
    cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_lb" "front" {
  name            = "tf-servers"
  subnets         = local.subnets
  security_groups = [aws_security_group.balancer.id]
  connection_logs {
    bucket  = aws_s3_bucket.logs.id
    enabled = true
  }
  depends_on = [aws_s3_bucket_policy.logs]
}

resource "aws_lb_target_group" "servers" {
  name     = "tf-servers"
  vpc_id   = data.aws_vpc.default.id
  protocol = "HTTP"
  port     = 80
}

resource "aws_lb_target_group_attachment" "servers" {
  for_each         = toset(["i-0123456789abcdef0", "i-0fedcba9876543210"])
  target_group_arn = aws_lb_target_group.servers.arn
  target_id        = each.value
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.front.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate.server.arn
  mutual_authentication {
    mode                             = "verify"
    trust_store_arn                  = aws_lb_trust_store.clients.arn
    advertise_trust_store_ca_names   = "on"
    ignore_client_certificate_expiry = false
  }
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.servers.arn
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.front.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}
