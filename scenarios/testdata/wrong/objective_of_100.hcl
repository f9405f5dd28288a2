slo "checkout" {
  objective = "100%"
  probe     = probe.door
}

slo "none" {
  objective = "0%"
  probe     = probe.door
}

probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  hypothesis "all is well" {
    slo      = slo.checkout
    at_least = "100%"
  }
  hypothesis "something is well" {
    slo = slo.none
  }
}
