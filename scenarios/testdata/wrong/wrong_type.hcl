probe "http" "door" {
  url    = ["http://127.0.0.1/"]
  weight = "heavy"
  codes  = 200
}

scenario "s" {
  hypothesis "it answers" {
    probe  = "door"
    during = "maybe"
  }

  fault "pod_kill" "kill" {
    selector = "app=checkout"
    count    = 1.5
  }
  fault "toxiproxy_latency" "late" {
    proxy     = "payments"
    latency   = "300ms"
    direction = "downstraem"
    toxiproxy = prometheus
    duration  = "1s"
  }
}

prometheus {}
