# The SLO of getting-started.yml.
slo "requests-availability" {
  description = "Common SLO based on availability for HTTP request responses."
  objective   = "99.9%"
  owner       = "myteam"
  labels      = { repo = "myorg/myservice", tier = "2", category = "availability" }

  sli {
    bad   = "sum(rate(http_request_duration_seconds_count{job=\"myservice\",code=~\"(5..|429)\"}[$window]))"
    total = "sum(rate(http_request_duration_seconds_count{job=\"myservice\"}[$window]))"
  }
}
