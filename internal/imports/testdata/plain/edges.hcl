# Made by gameday import from edges.yaml.
#
# What handbooks write by hand, and slightly wrong.

# Web – Availability
slo "web-availability" {
  description = "Answers within the SLA"
  objective   = "99.95%"
  window      = "28d"
  labels = {
    service = "web"
  }
  policy     = error_budget_policy.standard
  depends_on = [slo.Search]

  sli {
    good  = "sum(rate(http_requests_total{code!~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total[$window]))"
  }
}

# Depends on Web – Availability
slo "Search" {
  objective = "99.5%"
  window    = "30d"

  sli {
    bad   = "sum(rate(search_requests_total{code=~\"5..\"}[$window]))"
    total = "sum(rate(search_requests_total[$window]))"
  }
}

slo "slow" {
  objective = "99%"
  window    = "30d"

  sli "latency" {
    histogram = "api_latency_ms{job=\"api\"}"
    within    = "300ms"
    unit      = "milliseconds"
  }
}

# Not carried over: it has nothing to count: its query is no ratio of good or bad events to all events
# slo "gauge" {
#   objective = "99%"
#   window    = "7d"
# }

# Not carried over: it has nothing to count: it has no sli
# slo "none" {
#   objective = "99%"
#   window    = "7d"
# }

# Written for service web
error_budget_policy "standard" {
  band "green" {
    at_least = "60%"
    allows   = ["game-day", "deploy"]
    actions  = ["Deployments as usual"]
  }

  band "amber" {
    at_least = "20%"
    allows   = []
    actions  = ["No deployments"]
  }

  band "red" {
    allows  = []
    actions = ["Feature freeze"]
  }

  alert {
    below    = "12.5%"
    severity = "warning"
    notify   = "slack"
  }
}
