# Made by gameday import from slos.yaml.
#
# slis.yaml
# slos.yaml

# API Availability SLO
slo "api-availability-slo" {
  description = "Percentage of successful API requests"
  objective   = "99.9%"
  window      = "30d"

  sli {
    good  = "sum(rate(http_requests_total{job=\"api\",code!~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"api\"}[$window]))"
  }
}

# API Latency SLO
# target_less_than: milliseconds
slo "api-latency-slo" {
  description = "95th percentile API response time"
  objective   = "95%"
  window      = "30d"

  sli "latency" {
    histogram = "http_request_duration_seconds{job=\"api\"}"
    within    = "500ms"
  }
}

# Search Availability
# Not carried over: it has nothing to count: there is no sli "search_availability" in the files that
# are given
# Depends on elasticsearch, cache
# slo "search-availability" {
#   objective = "99.5%"
#   window    = "30d"
# }

slo "api_error_rate" {
  description = "Percentage of failed API requests"
  objective   = "99%"
  window      = "30d"

  sli {
    bad   = "sum(rate(http_requests_total{job=\"api\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"api\"}[$window]))"
  }
}
