# Every toxic, one after the other, each for half a second: the shop may suffer,
# but must be whole again right after.
#
# Verdict: held

sandbox "shop" {}

probe "http" "front_door" {
  url     = sandbox.shop.url
  every   = "100ms"
  timeout = "2s"
}

scenario "every-toxic" {
  description = "The front door is whole again after every toxic there is"
  seed        = 13
  baseline    = "1s"

  hypothesis "the front door answers" {
    probe          = probe.front_door
    during         = false
    recover_within = "10s"
    hold           = "1s"
  }

  fault "toxiproxy_latency" "late" {
    proxies  = ["catalogue", "payments"]
    latency  = "100ms"
    jitter   = "20ms"
    toxicity = "80%"
    duration = "500ms"
  }

  fault "toxiproxy_bandwidth" "narrow" {
    proxy    = "cata*"
    rate     = 20
    after    = fault.late
    duration = "500ms"
  }

  fault "toxiproxy_slow_close" "lingering" {
    proxy    = "catalogue"
    delay    = "100ms"
    after    = fault.narrow
    duration = "500ms"
  }

  fault "toxiproxy_slicer" "crumbs" {
    proxy        = "catalogue"
    average_size = 64
    delay        = "500us"
    after        = fault.lingering
    duration     = "500ms"
  }

  fault "toxiproxy_limit_data" "cut-short" {
    proxy    = "catalogue"
    bytes    = 2048
    after    = fault.crumbs
    duration = "500ms"
  }

  fault "toxiproxy_reset_peer" "resets" {
    proxy    = "catalogue"
    timeout  = "20ms"
    after    = fault.cut-short
    duration = "500ms"
  }

  fault "toxiproxy_timeout" "silence" {
    proxy    = "payments"
    stream   = "upstream"
    timeout  = "0s"
    after    = fault.resets
    duration = "500ms"
  }

  fault "toxiproxy_down" "gone" {
    proxy    = "payments"
    after    = fault.silence
    duration = "500ms"
  }
}
