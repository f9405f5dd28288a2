# Made by gameday import from kinds.yaml.
#
# Service checkout: Checkout
# Service checkout: Takes the money
# AlertPolicy page-on-burn: Pages on-call
# AlertCondition burns-fast: severity page, kind burnrate, op lte, threshold 2, lookbackWindow 1h,
# alertAfter 5m
# AlertNotificationTarget on-call: to email

# The Prometheus of production
prometheus "main-prometheus" {
  url = "http://prometheus.example.com:9090"
}

# example.com/runbook: not one by its name
# SLI: Requests of the checkout
# SLI: Answers without a 5xx
slo "checkout-availability-internal" {
  description = "Checkout availability"
  objective   = "99.95%"
  window      = "28d"
  owner       = "team-checkout"
  runbook     = "https://wiki.example.com/checkout"
  labels = {
    app_kubernetes_io_name = "checkout"
    owner                  = "team-checkout"
    service                = "checkout"
  }

  sli {
    prometheus = prometheus.main-prometheus
    bad        = "sum(rate(http_requests_total{job=\"checkout\",code=~\"5..\"}[$window]))"
    total      = "sum(rate(http_requests_total{job=\"checkout\"}[$window]))"
  }
}

# example.com/runbook: not one by its name
# SLI: Requests of the checkout
# SLI: Answers without a 5xx
slo "checkout-availability-sla" {
  description = "Checkout availability"
  objective   = "99.9%"
  window      = "28d"
  owner       = "team-checkout"
  runbook     = "https://wiki.example.com/checkout"
  labels = {
    app_kubernetes_io_name = "checkout"
    owner                  = "team-checkout"
    service                = "checkout"
  }

  sli {
    prometheus = prometheus.main-prometheus
    bad        = "sum(rate(http_requests_total{job=\"checkout\",code=~\"5..\"}[$window]))"
    total      = "sum(rate(http_requests_total{job=\"checkout\"}[$window]))"
  }
}
