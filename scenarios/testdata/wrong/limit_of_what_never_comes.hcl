probe "gauge" "queue" {
  name = "queue"
}

probe "http" "door" {
  url = "http://127.0.0.1:8080/"
}

probe "http" "scale" {
  url    = "http://127.0.0.1:8080/"
  weight = 2
}

slo "queue" {
  objective = "99%"
  window    = "30d"
  probe     = probe.queue
}

scenario "s" {
  hypothesis "no limit" {
    probe = probe.queue
  }
  hypothesis "a share of numbers" {
    probe    = probe.queue
    at_least = "99%"
  }
  hypothesis "how long asking takes" {
    probe       = probe.queue
    p95_at_most = "1s"
  }
  hypothesis "a number of what has none" {
    probe         = probe.door
    value_at_most = 3
  }
  hypothesis "fine" {
    probe         = probe.scale
    value_at_most = 3
  }
  hypothesis "fine too" {
    probe       = probe.scale
    p95_at_most = "1s"
  }
  hypothesis "and this" {
    probe          = probe.queue
    value_at_least = 1
  }
}
