# Pods of a checkout are killed, one every 5 to 10 seconds, while it is asked through
# its Service. A PodDisruptionBudget says how many may be down at once; a guard stops
# the run when customers notice too much. The report names each victim, its node, and
# how long its replacement took to be ready.
#
#   gameday run --var namespace=shop --var url=http://checkout.shop.example/ kubernetes.hcl
#
# Verdict: held

variable "namespace" {
  description = "The namespace of the checkout"
}

variable "url" {
  description = "Where the checkout's Service answers"
}

variable "workload" {
  description = "The checkout's workload"
  default     = "deployment/checkout"
}

kubernetes {}

probe "http" "checkout" {
  url        = var.url
  every      = "100ms"
  timeout    = "1s"
  keep_alive = false
}

slo "checkout" {
  description = "Checkouts that are answered"
  objective   = "99%"
  window      = "30d"
  probe       = probe.checkout
}

scenario "lost-checkout-pods" {
  description = "Customers check out while pods are lost"
  seed        = 11

  hypothesis "checkout stays available" {
    slo            = slo.checkout
    at_least       = "95%"
    recover_within = "30s"
  }

  fault "pod_kill" "lost-pods" {
    namespace = var.namespace
    owner     = var.workload
    every     = "5s..10s"
    duration  = "30s"
    min_ready = 2
  }

  guard "burn_rate" "page-worthy" {
    slo     = slo.checkout
    factor  = 14.4
    windows = ["10s", "3s"]
  }
}
