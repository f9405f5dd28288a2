# A pod of podtato-main is deleted every ten seconds for half a minute, with the time
# to end that it asks for; meanwhile every request to the application must succeed.
# (The job of Litmus' podtato-head with its continuous probe, and without the retry that
# it allows each request.)
#
#   gameday run --var service_url=http://podtato.example:9000/ podtato-head.hcl
#
# Verdict: held

variable "kubeconfig" {
  description = "Path of a kubeconfig; empty: $KUBECONFIG, ~/.kube/config, or the pod's account"
  default     = ""
}

variable "namespace" {
  description = "Namespace of the application"
  default     = "default"
}

variable "service_url" {
  description = "The application's service, on port 9000"
}

variable "every" {
  description = "Time between two deletions"
  default     = "10s"
}

variable "duration" {
  description = "For how long pods are deleted"
  default     = "30s"
}

kubernetes {
  kubeconfig = var.kubeconfig
}

probe "http" "podtato" {
  url     = var.service_url
  status  = ["200"]
  every   = "1s"
  timeout = "1s"
}

scenario "podtato-head" {
  description = "podtato-head answers while its main pod is deleted again and again"
  seed        = 46

  hypothesis "every request is answered with 200" {
    probe = probe.podtato
  }

  fault "pod_kill" "podtato-main" {
    namespace = var.namespace
    selector  = "name=podtato-main"
    every     = var.every
    duration  = var.duration
    min_ready = 1 # a single replica would be its last one, and is refused
  }
}
