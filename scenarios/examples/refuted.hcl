# A shop that does not survive what it should: it gives a request one second, and
# the payment provider takes longer than that.
#
# Verdict: refuted

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
  objective   = "99%"
  window      = "30d"
  sli {
    bad   = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\"}[$window]))"
  }
}

scenario "late-payments" {
  description = "Checkout survives a payment provider that answers 1.2 s late"
  seed        = 3

  hypothesis "checkout stays available" {
    slo            = slo.checkout
    at_least       = "95%"
    recover_within = "15s"
  }

  fault "toxiproxy_latency" "very-late-payments" {
    proxy    = sandbox.shop.payments_proxy
    latency  = "1200ms"
    duration = "6s"
  }
}
