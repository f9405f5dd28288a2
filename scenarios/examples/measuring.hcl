# Every way to measure: five kinds of probes, a service level objective on queries
# and one that rests on a probe. Nothing is broken: a health check.
#
#   gameday run --var grpc_address=127.0.0.1:50051 measuring.hcl
#
# Verdict: held

variable "grpc_address" {
  description = "A gRPC server with the standard health service"
}

sandbox "shop" {}

prometheus {
  scrape_interval = "250ms"
}

scrape "shop" {
  url   = sandbox.shop.metrics_url
  every = "250ms"
}

probe "http" "products" {
  url     = "${sandbox.shop.url}/products"
  status  = ["200"]
  every   = "100ms"
  timeout = "1s"
}

probe "tcp" "payments" {
  address = trimsuffix(trimprefix(sandbox.shop.payments_url, "http://"), "/")
  every   = "200ms"
}

probe "grpc" "stock" {
  address = var.grpc_address
  every   = "200ms"
}

probe "exec" "disk" {
  command = ["sh", "-c", "df -Pk / | awk 'END { print $4 }'"]
  stdout  = "number"
  unit    = "KiB"
  every   = "500ms"
}

probe "prometheus" "in_flight" {
  query = "sum(http_requests_in_flight{service=\"front-door\"})"
  unit  = "requests"
  every = "500ms"
}

slo "browsing" {
  description = "Products are shown"
  objective   = "99%"
  window      = "28d"
  probe       = probe.products
}

slo "shop" {
  description = "The front door answers without a 5xx"
  objective   = "99.5%"
  window      = "28d"
  sli {
    good  = "sum(rate(http_requests_total{service=\"front-door\",code!~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{service=\"front-door\"}[$window]))"
  }
}

scenario "health-check" {
  description = "The shop and its neighbours are healthy"
  seed        = 19
  baseline    = "2s"

  hypothesis "products are shown" {
    slo      = slo.browsing
    at_least = "90%"
  }

  hypothesis "the shop answers" {
    slo      = slo.shop
    at_least = "98%"
  }

  hypothesis "payments accept connections" {
    probe       = probe.payments
    p90_at_most = "100ms"
  }

  hypothesis "stock is serving" {
    probe = probe.stock
  }

  hypothesis "the disk has room" {
    probe          = probe.disk
    value_at_least = 1024
  }

  hypothesis "the front door keeps up" {
    probe         = probe.in_flight
    value_at_most = 60
  }
}
