# Does checkout survive a payment provider that answers late?

variable "latency" {
  description = "How late the payment provider answers"
  default     = "300ms"
}

variable "prometheus_url" {
  description = "The Prometheus that watches the shop; null: the built-in one"
  type        = string
  default     = null
}

variable "toxiproxy_url" {
  description = "The toxiproxy in front of the provider; null: the built-in one"
  type        = string
  default     = null
}

prometheus { url = var.prometheus_url }
toxiproxy { url = var.toxiproxy_url }

slo "checkout" {
  description = "Checkout requests answered without a 5xx"
  objective   = "99.9%"
  window      = "30d"
  sli {
    bad   = "sum(rate(http_requests_total{job=\"checkout\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"checkout\"}[$window]))"
  }
}

probe "http" "front_door" {
  url     = "http://127.0.0.1:8080/"
  every   = "250ms"
  timeout = "1s"
}

scenario "slow-payments" {
  description = "Checkout survives a payment provider that answers 300 ms late"
  seed        = 7

  hypothesis "checkout stays available" {
    slo      = slo.checkout
    at_least = "99.5%"
  }
  hypothesis "the front door answers fast" {
    probe          = probe.front_door
    p95_at_most    = "500ms"
    during         = false # may break while the fault is on,
    recover_within = "30s" # but must be whole again by then
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = "payments"
    latency  = var.latency
    jitter   = "50ms"
    at       = "10s"
    duration = "2m"
  }

  guard "burn_rate" "page-worthy" {
    slo     = slo.checkout
    factor  = 14.4
    windows = ["1m", "10s"]
  }
  guard "budget" "allowance" {
    slo   = slo.checkout
    spend = "5%" # of the window's budget, braking distance included
  }
}
