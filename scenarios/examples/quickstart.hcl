# A whole game day on the built-in shop, in under a minute:
#
#   gameday run quickstart
#
# The same file runs unchanged against a toxiproxy-server and a Prometheus of your
# own; external.hcl says how.
#
# Verdict: held

variable "toxiproxy_url" {
  description = "API of a toxiproxy-server; left out, the built-in one"
  type        = string
  default     = null
}

variable "prometheus_url" {
  description = "A Prometheus that scrapes the shop; left out, the built-in one"
  type        = string
  default     = null
}

variable "scrape_interval" {
  description = "How often the shop is scraped"
  default     = "250ms"
}

variable "shop_port" {
  description = "Port of the shop's front door; 0 takes a free one"
  default     = 0
}

variable "latency" {
  description = "How late the payment provider answers"
  default     = "300ms"
}

toxiproxy {
  url = var.toxiproxy_url
}

prometheus {
  url             = var.prometheus_url
  scrape_interval = var.scrape_interval
}

# The system to break: a front door, a catalogue and a payment service, with
# customers. Yours takes its place.
sandbox "shop" {
  port = var.shop_port
}

scrape "shop" {
  url   = sandbox.shop.metrics_url
  every = var.scrape_interval
}

slo "checkout" {
  description = "Checkouts answered without a 5xx"
  objective   = "99.9%"
  window      = "30d"
  sli {
    bad   = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\"}[$window]))"
  }
}

probe "http" "checkout" {
  url     = sandbox.shop.checkout_url
  method  = "POST"
  every   = "100ms"
  timeout = "2s"
}

scenario "slow-payments" {
  description = "Checkout survives a payment provider that answers 300 ms late"
  seed        = 7

  hypothesis "checkout stays available" {
    slo      = slo.checkout
    at_least = "99%"
  }

  hypothesis "checkout is fast again" {
    probe          = probe.checkout
    p95_at_most    = "100ms"
    during         = false # it may be slow while the provider is,
    recover_within = "10s" # but must be fast again by then
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = sandbox.shop.payments_proxy
    latency  = var.latency
    jitter   = "50ms"
    at       = "2s"
    duration = "10s"
  }

  fault "toxiproxy_slicer" "crumbling-catalogue" {
    proxy        = sandbox.shop.catalogue_proxy
    average_size = 64
    delay        = "1ms"
    after        = fault.late-payments
    duration     = "3s"
  }

  guard "burn_rate" "page-worthy" {
    slo     = slo.checkout
    factor  = 14.4
    windows = ["10s", "2s"]
  }

  guard "budget" "allowance" {
    slo   = slo.checkout
    spend = "1%"
  }
}
