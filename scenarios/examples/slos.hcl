# SLOs with what a team agreed on: who answers for them, and what it does by how much
# of the error budget is left. The alerts that watch them in production come from here:
#
#   gameday rules --out rules.yml --tests rules_test.yml slos
#
# The scenario breaks nothing that a customer would notice, and proves it.
#
# Verdict: held

prometheus {
  scrape_interval = "250ms"
}

sandbox "shop" {}

scrape "shop" {
  url   = sandbox.shop.metrics_url
  every = "250ms"
}

error_budget_policy "standard" {
  description = "Agreed by product and engineering"

  band "green" {
    at_least = "50%"
    allows   = ["game-day", "deploy", "experimental-feature"]
  }
  band "yellow" {
    at_least = "10%"
    allows   = ["deploy"]
    actions  = ["Reliability work comes first"]
  }
  band "red" {
    allows  = []
    actions = ["Feature freeze", "Review of the incidents that spent the budget"]
  }
  # The built-in Prometheus knows nothing of the days before the run. With one of your
  # own, take this out: nothing is then allowed while nobody knows what is left.
  band "unknown" {
    allows = ["game-day"]
  }

  # These two become alerts of Prometheus as well.
  alert {
    below    = "50%"
    severity = "ticket"
    notify   = "team-channel"
  }
  alert {
    below    = "10%"
    severity = "page"
  }
}

slo "payments" {
  description = "Payments answered without a 5xx"
  objective   = "99.95%"
  window      = "28d"
  owner       = "team-payments"

  sli {
    bad   = "sum(rate(http_requests_total{service=\"payments\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{service=\"payments\"}[$window]))"
  }
}

slo "checkout" {
  description = "Checkouts answered without a 5xx"
  objective   = "99.9%"
  window      = "30d"
  owner       = "team-checkout"
  runbook     = "https://wiki.example.com/checkout"
  labels      = { tier = "1" }
  depends_on  = [slo.payments]
  policy      = error_budget_policy.standard

  sli {
    bad   = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\"}[$window]))"
  }
}

scenario "slow-payments" {
  description = "Payments that are 50 ms late cost no checkout"
  seed        = 7

  hypothesis "checkout stays available" {
    slo      = slo.checkout
    at_least = "99%"
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = sandbox.shop.payments_proxy
    latency  = "50ms"
    duration = "15s"
  }
}
