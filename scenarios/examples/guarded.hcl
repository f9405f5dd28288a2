# Every guard. Each would stop the run at once and have everything mended; with a
# provider that is a little late, none needs to.
#
# Verdict: held

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

probe "http" "checkout" {
  url     = sandbox.shop.checkout_url
  method  = "POST"
  every   = "100ms"
  timeout = "2s"
}

scenario "well-guarded" {
  description = "Checkout survives payments that are 50 ms late, and six guards watch"
  seed        = 23

  hypothesis "checkout stays available" {
    slo      = slo.checkout
    at_least = "95%"
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = sandbox.shop.payments_proxy
    latency  = "50ms"
    duration = "5s"
  }

  guard "burn_rate" "page-worthy" {
    slo     = slo.checkout
    factor  = 14.4
    windows = ["5s", "2s"]
  }

  guard "budget" "allowance" {
    slo   = slo.checkout
    spend = "2%"
  }

  guard "evidence" "beyond-doubt" {
    slo    = slo.checkout
    factor = 10
    alpha  = "1%"
    window = "2s"
  }

  guard "threshold" "far-too-slow" {
    probe         = probe.checkout
    latency_above = "1500ms"
    samples       = 5
  }

  guard "no_data" "blind" {
    for = "5s"
  }

  guard "max_duration" "long-enough" {
    limit = "1m"
  }
}
