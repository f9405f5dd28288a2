slo "checkout" {
  objective = "100.5%"
  probe     = probe.door
}

probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  hypothesis "it answers" {
    slo        = slo.checkout
    at_least   = 0.995
    confidence = "99"
  }
}
