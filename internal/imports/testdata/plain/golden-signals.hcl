# Made by gameday import from golden-signals.yaml.

# Golden signals to be finished: write the series of the service.
# Latency: Time to service a request; metrics p50_latency, p95_latency, p99_latency; target p95 <
# 500ms
# Traffic: Demand on the system; metrics requests_per_second, concurrent_connections; target Handle
# 10,000 RPS
# Errors: Rate of failed requests; metrics error_rate, 5xx_rate; target < 0.1% error rate
# Saturation: How full the service is; metrics cpu_utilization, memory_utilization, disk_utilization,
# connection_pool_utilization; target < 70% utilization
# golden-signals.yaml
# golden_signals "service" {
#   duration           = "..."
#   latency_percentile = "95%"
#   latency_at_most    = "500ms"
#   requests           = "..."
#   traffic_at_least   = 10000
#   errors             = "..."
#   errors_at_most     = "0.1%"
#   saturation         = "..."
#   saturation_at_most = "70%"
# }
