sandbox "shop" {}

probe "http" "door" {
  url = "${sandbox.shop.ulr}/${var.path}"
}

probe "http" "back" {
  url = sandbox.shp.url
}

locals {
  late = slo.checkout
}

scenario "s" {
  hypothesis "it answers" { probe = probe.dor }
  hypothesis "it meets its objective" { slo = slo.checkout }

  fault "toxiproxy_latency" "late" {
    proxy     = payments
    latency   = locl.late
    direction = probe.door.url
    toxiproxy = toxiproxy
    duration  = "10s"
  }
  fault "pod_kill" "kill" {
    selector = "app=checkout"
    after    = fault.latte
  }
}
