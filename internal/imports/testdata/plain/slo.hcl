# Made by gameday import from slo.yaml.

# API Availability
# Example SLO Definition
slo "api-availability" {
  description = "Percentage of successful API requests"
  objective   = "99.9%"
  window      = "30d"
  labels = {
    sli_type = "availability"
  }

  sli {
    good  = "sum(rate(http_requests_total{status!~'5..'}[$window]))"
    total = "sum(rate(http_requests_total[$window]))"
  }
}
