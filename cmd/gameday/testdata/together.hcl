prometheus {
  scrape_interval = "250ms"
}
sandbox "shop" {}
scrape "shop" {
  url   = sandbox.shop.metrics_url
  every = "250ms"
}
error_budget_policy "standard" {
  reserve = "10%"
  band "green" {
    at_least = "50%"
    allows   = ["game-day", "deploy"]
  }
  band "red" {
    allows = []
  }
  band "unknown" {
    allows = ["game-day"]
  }
}
golden_signals "front_door" {
  requests       = "http_requests_total{service=\"front-door\"}"
  errors         = "code=~\"5..\""
  errors_at_most = "50%"
  window         = "2s"
  every          = "250ms"
}
journey "login" {
  criticality = "critical"
  every       = "250ms"
  step "Load login page" {
    url = "${sandbox.shop.url}/login"
  }
}
slo "checkout" {
  objective = "99%"
  sli {
    bad   = "sum(rate(http_requests_total{service=\"front-door\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{service=\"front-door\"}[$window]))"
  }
}
slo "fast" {
  objective = "95%"
  sli "latency" {
    histogram = "http_request_duration_seconds{service=\"front-door\"}"
    within    = "500ms"
  }
}
slo "fast_native" {
  objective = "95%"
  sli "latency" {
    histogram = "http_request_duration_seconds{service=\"front-door\"}"
    within    = "500ms"
    native    = true
  }
}
slo "busy" {
  objective = "90%"
  sli "throughput" {
    slice    = "2s"
    query    = "sum(rate(http_requests_total{service=\"front-door\"}[$slice]))"
    at_least = 1
  }
}
slo "slices" {
  objective = "90%"
  sli "time_slice" {
    slice           = "2s"
    bad             = "sum(rate(http_requests_total{service=\"front-door\",code=~\"5..\"}[$slice]))"
    total           = "sum(rate(http_requests_total{service=\"front-door\"}[$slice]))"
    slice_objective = "95%"
  }
}
slo "journeys" {
  objective = "90%"
  probe     = journey.login
}
scenario "all" {
  policy   = error_budget_policy.standard
  seed     = 1
  baseline = "6s"
  watch    = [golden_signals.front_door]
  hypothesis "a user can log in" {
    probe          = journey.login
    hold           = "1s"
    recover_within = "10s"
  }
  fault "toxiproxy_latency" "late" {
    proxy    = sandbox.shop.payments_proxy
    latency  = "20ms"
    duration = "6s"
  }
  guard "budget" "allowance" {
    slo   = slo.checkout
    spend = "5%"
  }
  guard "budget" "journeys" {
    slo   = slo.journeys
    spend = "5%"
  }
  guard "burn_rate" "latency" {
    slo     = slo.fast
    windows = ["4s", "2s"]
    factor  = 10
  }
  guard "burn_rate" "native" {
    slo     = slo.fast_native
    windows = ["4s", "2s"]
    factor  = 10
  }
  guard "evidence" "busy" {
    factor = 5
    slo    = slo.busy
  }
  guard "evidence" "slices" {
    factor = 5
    slo    = slo.slices
  }
  guard "budget" "slices_budget" {
    slo   = slo.slices
    spend = "5%"
  }
}
