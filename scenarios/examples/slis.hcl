# The ways to say what is counted, beside good and bad events: the share of requests
# within a bound, stretches of time that were good, and a floor under the traffic. All
# keep watching while the payment provider is a little late.
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

# Of all checkouts, 95% are answered within half a second.
slo "fast-checkout" {
  objective = "95%"
  sli "latency" {
    histogram = "http_request_duration_seconds{service=\"front-door\",route=\"/checkout\"}"
    within    = "500ms"
  }
}

# The same of the catalogue, from its native histogram: the bound need not be one of
# the buckets.
slo "fast-catalogue" {
  objective = "95%"
  sli "latency" {
    histogram = "http_request_duration_seconds{service=\"catalogue\"}"
    within    = "300ms"
    native    = true
  }
}

# Of all stretches of four seconds, 95% are good: at least 95% of their checkouts are
# answered without a 5xx.
slo "steady-checkout" {
  objective = "95%"
  sli "time_slice" {
    slice           = "4s"
    bad             = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\",code=~\"5..\"}[$slice]))"
    total           = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\"}[$slice]))"
    slice_objective = "95%"
  }
}

# Of all stretches of four seconds, 95% have at least one checkout a second. That they
# stop is a problem and not silence.
slo "busy-checkout" {
  objective = "95%"
  sli "throughput" {
    slice    = "4s"
    query    = "sum(rate(http_requests_total{service=\"front-door\",route=\"/checkout\"}[$slice]))"
    at_least = 1
  }
}

scenario "every-sli" {
  description = "Checkout stays fast, steady and busy with payments that are 50 ms late"
  seed        = 29

  hypothesis "checkout is fast" {
    slo      = slo.fast-checkout
    at_least = "90%"
  }

  hypothesis "the catalogue is fast" {
    slo      = slo.fast-catalogue
    at_least = "90%"
  }

  hypothesis "checkout is steady" {
    slo      = slo.steady-checkout
    at_least = "30%"
  }

  hypothesis "customers keep checking out" {
    slo      = slo.busy-checkout
    at_least = "30%"
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = sandbox.shop.payments_proxy
    latency  = "50ms"
    duration = "15s"
  }

  guard "burn_rate" "too-slow" {
    slo     = slo.fast-checkout
    factor  = 10
    windows = ["5s", "2s"]
  }

  guard "budget" "slices" {
    slo   = slo.steady-checkout
    spend = "5%"
  }
}
