# A node is drained, as an administrator would, and opened again: the application must
# answer and keep its minimum of pods all the while.
# (The job of the Chaos Toolkit's "resilient to admin-instigated node drainage".)
#
#   gameday run --var service_url=http://shop.example/ --var namespace=shop \
#               --var selector=biz-app-id=retail --var node=worker-1 drain-node.hcl
#
# Verdict: held

variable "kubeconfig" {
  description = "Path of a kubeconfig; empty: $KUBECONFIG, ~/.kube/config, or the pod's account"
  default     = ""
}

variable "service_url" {
  description = "Where the application answers"
}

variable "namespace" {
  description = "Namespace of its pods"
}

variable "selector" {
  description = "Label selector of its pods"
}

variable "minimum" {
  description = "How many of its pods must be ready at any time"
  type        = number
  default     = 1
}

variable "node" {
  description = "The node to drain"
}

kubernetes {
  kubeconfig = var.kubeconfig
}

probe "http" "application" {
  url     = var.service_url
  status  = ["200"]
  every   = "250ms"
  timeout = "3s"
}

probe "kubernetes" "pods" {
  namespace = var.namespace
  selector  = var.selector
  at_least  = var.minimum
  every     = "250ms"
}

scenario "drain-node" {
  description = "The application maintains its minimum of resources while a node is drained"
  seed        = 42

  hypothesis "the application answers with 200" {
    probe = probe.application
  }

  hypothesis "its minimum of pods is ready" {
    probe = probe.pods
  }

  fault "node_drain" "maintenance" {
    node     = var.node
    within   = "2m"
    duration = "3s"
  }
}
