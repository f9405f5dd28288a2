probe "htpp" "door" {
  url = "http://127.0.0.1/"
}

slo "checkout" {
  objective = "99%"
  sli "latencies" {}
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }
  hypothesis "it holds" { slo = slo.checkout }

  fault "pod_kil" "kill" { selector = "app=checkout" }

  guard "moon_phase" "night" {}
}
