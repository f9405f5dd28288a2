# Against a toxiproxy-server and a Prometheus of your own. Start the shop by itself,
# between the proxies of that toxiproxy, and let that Prometheus scrape it:
#
#   toxiproxy-server
#   gameday sandbox --port 8080 --toxiproxy http://127.0.0.1:8474
#   prometheus --config.file=prometheus.yml        # scrapes 127.0.0.1:8080 as job "shop"
#   gameday run --var shop_url=http://127.0.0.1:8080/ external.hcl
#
# Verdict: held

variable "toxiproxy_url" {
  description = "API of the toxiproxy-server"
  default     = "http://127.0.0.1:8474"
}

variable "prometheus_url" {
  description = "The Prometheus that scrapes the shop"
  default     = "http://127.0.0.1:9090"
}

variable "scrape_interval" {
  description = "How often that Prometheus scrapes the shop"
  default     = "15s"
}

variable "shop_url" {
  description = "The shop's front door"
}

toxiproxy {
  url = var.toxiproxy_url
}

prometheus {
  url             = var.prometheus_url
  scrape_interval = var.scrape_interval
  timeout         = "5s"
}

slo "shop" {
  description = "Requests answered without a 5xx"
  objective   = "99.5%"
  window      = "30d"
  sli {
    bad   = "sum(rate(http_requests_total{job=\"shop\",service=\"front-door\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"shop\",service=\"front-door\"}[$window]))"
  }
}

probe "http" "front_door" {
  url     = var.shop_url
  every   = "250ms"
  timeout = "1s"
}

scenario "slow-payments" {
  description = "The shop survives payments that are 200 ms late"
  seed        = 29

  hypothesis "the shop stays available" {
    slo            = slo.shop
    at_least       = "99%"
    recover_within = "2m"
  }

  hypothesis "the front door answers" {
    probe = probe.front_door
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = "payments"
    latency  = "200ms"
    duration = "10s"
  }

  guard "budget" "allowance" {
    slo   = slo.shop
    spend = "1%"
  }
}
