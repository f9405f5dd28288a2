# Made by gameday import from methods.yaml.

# Each method of spending a budget, and each sort of metric.
slo "queue-length" {
  objective = "99%"
  window    = "30d"

  sli "time_slice" {
    query   = "max(queue_length)"
    at_most = 150
    slice   = "5m"
  }
}

# latency inverted
slo "latency-inverted" {
  description = "The op is the wrong way round"
  objective   = "99%"
  window      = "30d"

  sli "time_slice" {
    query    = "histogram_quantile(0.99, sum by (le) (rate(request_latency_seconds_bucket[5m])))"
    at_least = 0.3
    slice    = "1m"
  }
}

slo "mean-of-ratios" {
  objective = "99%"
  window    = "14d"

  sli {
    good  = "sum_over_time((((sum(rate(requests_total{code=\"200\"}[1m]))) or 0 * (sum(rate(requests_total[1m])))) / ((sum(rate(requests_total[1m]))) > 0))[$window:1m])"
    total = "count_over_time((((sum(rate(requests_total{code=\"200\"}[1m]))) or 0 * (sum(rate(requests_total[1m])))) / ((sum(rate(requests_total[1m]))) > 0))[$window:1m])"
  }
}

slo "raw-ratio" {
  objective = "50%"

  calendar {
    period = "quarter"
    zone   = "Europe/Berlin"
  }

  sli {
    bad   = "sum_over_time((job:errors:ratio5m{job=\"api\"})[$window:5m])"
    total = "count_over_time((job:errors:ratio5m{job=\"api\"})[$window:5m])"
  }
}

slo "gauges" {
  objective = "90%"
  window    = "60d"

  sli {
    good  = "sum(sum_over_time(jobs_ok[$window]))"
    total = "sum(sum_over_time(jobs_all[$window]))"
  }
}
