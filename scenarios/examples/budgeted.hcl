# A game day that asks first. An error budget policy says how much of the budget must be
# left, a guard how much of it the run may spend, and the report what it cost.
#
#   gameday plan budgeted
#   gameday run budgeted
#   gameday run --var prometheus_url=http://127.0.0.1:9090 budgeted
#   gameday gate --for deploy --var prometheus_url=http://127.0.0.1:9090 budgeted
#
# The built-in Prometheus knows nothing of the 30 days before the run, so that what is
# left of the budget is unknown. That refuses a run, unless the band "unknown" allows it,
# as it does here. With a Prometheus of your own, take "game-day" out of it.
#
# Verdict: held

variable "prometheus_url" {
  description = "A Prometheus that scrapes the shop and remembers 30 days; left out, the built-in one"
  type        = string
  default     = null
}

variable "shop_port" {
  description = "Port of the shop's front door, for a Prometheus to scrape; 0 takes a free one"
  default     = 0
}

prometheus {
  url             = var.prometheus_url
  scrape_interval = "250ms"
}

sandbox "shop" {
  port = var.shop_port
}

scrape "shop" {
  url   = sandbox.shop.metrics_url
  every = "250ms"
}

error_budget_policy "standard" {
  description = "Agreed between the checkout team and its product manager"
  reserve     = "10%" # left after the worst that a game day may cost

  band "green" {
    at_least = "50%"
    allows   = ["game-day", "deploy", "experimental-feature"]
    actions  = ["Normal feature development"]
  }

  band "yellow" {
    at_least = "10%"
    allows   = ["game-day", "deploy"]
    actions  = ["One deployment a day", "A second pair of eyes on each change"]
  }

  band "red" {
    allows  = []
    actions = ["Feature freeze", "Work on reliability only"]
  }

  band "unknown" {
    allows = ["game-day"]
  }
}

slo "checkout" {
  description = "Checkouts answered without a 5xx"
  objective   = "99%"
  window      = "30d"
  policy      = error_budget_policy.standard
  sli {
    bad   = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\"}[$window]))"
  }
}

scenario "payments-down" {
  description = "Checkout comes back by itself after payments were gone for a second"
  seed        = 29

  hypothesis "checkout recovers" {
    slo            = slo.checkout
    at_least       = "98%"
    during         = false
    recover_within = "10s"
  }

  fault "toxiproxy_down" "no-payments" {
    proxy    = sandbox.shop.payments_proxy
    duration = "1s"
  }

  guard "budget" "allowance" {
    slo   = slo.checkout
    spend = "1%"
  }
}
