# A fault that turns out worse than thought: the payment provider answers nobody,
# and the guard stops the run long before the two minutes are over.
#
# Verdict: aborted

sandbox "shop" {}

prometheus {
  scrape_interval = "250ms"
}

scrape "shop" {
  url   = sandbox.shop.metrics_url
  every = "250ms"
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

scenario "silent-payments" {
  description = "Checkout survives a payment provider that does not answer"
  seed        = 5

  hypothesis "checkout stays available" {
    slo            = slo.checkout
    at_least       = "99%"
    recover_within = "20s"
  }

  fault "toxiproxy_timeout" "silence" {
    proxy    = sandbox.shop.payments_proxy
    timeout  = "0s"
    duration = "2m"
  }

  guard "burn_rate" "page-worthy" {
    slo     = slo.checkout
    factor  = 14.4
    windows = ["5s", "2s"]
  }
}
