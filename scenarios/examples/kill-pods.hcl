# Two pods of an application are deleted at once, and it must answer all the while.
# (The job of the Chaos Toolkit's "My application is resilient to pod death".)
#
#   gameday run --var service_url=http://shop.example/ --var namespace=shop \
#               --var selector=app=checkout kill-pods.hcl
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

kubernetes {
  kubeconfig = var.kubeconfig
}

probe "http" "application" {
  url     = var.service_url
  status  = ["200"]
  every   = "250ms"
  timeout = "500ms"
}

probe "kubernetes" "pods" {
  namespace = var.namespace
  selector  = var.selector
  every     = "250ms"
}

scenario "kill-pods" {
  description = "The application maintains itself under the conditions of pod death"
  seed        = 41

  hypothesis "the application answers with 200" {
    probe = probe.application
  }

  hypothesis "all of its pods are ready again" {
    probe          = probe.pods
    during         = false
    recover_within = "2m"
    hold           = "2s"
  }

  fault "pod_kill" "two-pods" {
    namespace = var.namespace
    selector  = var.selector
    count     = 2
  }
}
