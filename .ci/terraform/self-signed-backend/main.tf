# System S as Terraform users write it: from API Gateway through a VPC link to a backend with a private CA.

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

resource "aws_lb" "inside" {
  name               = "tf-backend"
  load_balancer_type = "network"
  internal           = true
  subnets            = local.subnets
}

resource "aws_lb_target_group" "backend" {
  name        = "tf-backend"
  vpc_id      = data.aws_vpc.default.id
  target_type = "ip"
  protocol    = "TCP"
  port        = 443
}

resource "aws_lb_target_group_attachment" "backend" {
  target_group_arn = aws_lb_target_group.backend.arn
  target_id        = "172.31.0.55"
}

resource "aws_lb_listener" "tcp" {
  load_balancer_arn = aws_lb.inside.arn
  port              = 443
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.backend.arn
  }
}

resource "aws_route53_zone" "inside" {
  name = "internal.example.com"
  vpc {
    vpc_id = data.aws_vpc.default.id
  }
}

resource "aws_route53_record" "backend" {
  zone_id = aws_route53_zone.inside.zone_id
  name    = "backend.internal.example.com"
  type    = "A"
  alias {
    name                   = aws_lb.inside.dns_name
    zone_id                = aws_lb.inside.zone_id
    evaluate_target_health = false
  }
}

resource "aws_api_gateway_vpc_link" "backend" {
  name        = "tf-backend"
  target_arns = [aws_lb.inside.arn]
}

resource "aws_api_gateway_rest_api" "front" {
  name = "tf-backend"
  endpoint_configuration {
    types = ["REGIONAL"]
  }
  body = jsonencode({
    openapi = "3.0.1"
    info    = { title = "tf-backend", version = "1" }
    paths = { "/" = { get = {
      responses = { "200" = { description = "fine" } }
      x-amazon-apigateway-integration = {
        type           = "http_proxy"
        httpMethod     = "GET"
        uri            = "https://backend.internal.example.com/"
        connectionType = "VPC_LINK"
        connectionId   = aws_api_gateway_vpc_link.backend.id
        tlsConfig      = { insecureSkipVerification = true }
      }
    } } }
  })
}

resource "aws_api_gateway_deployment" "front" {
  rest_api_id = aws_api_gateway_rest_api.front.id
  triggers    = { body = sha1(aws_api_gateway_rest_api.front.body) }
  lifecycle { create_before_destroy = true }
}

resource "aws_api_gateway_stage" "dev" {
  rest_api_id   = aws_api_gateway_rest_api.front.id
  deployment_id = aws_api_gateway_deployment.front.id
  stage_name    = "dev"
}
