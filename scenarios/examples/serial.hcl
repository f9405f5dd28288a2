# Three disturbances, one after the other with pauses between them, as a workflow: less
# room, a slow network, and pods that are killed every two seconds. (The job of Chaos
# Mesh's serial workflow. gameday puts no load on the CPU of a pod: a share of the
# replicas is taken away in its place. The network is slow on the way to the service,
# by a proxy, and not within the pods.)
#
#   gameday run --var namespace=default --var service=hello.example:80 serial.hcl
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

variable "workload" {
  description = "The application"
  default     = "deployment/hello-kubernetes"
}

variable "service" {
  description = "Host and port at which it answers"
}

variable "listen" {
  description = "Address of the proxy in front of it"
  default     = "127.0.0.1:18080"
}

variable "long" {
  description = "How long the first two disturbances are on"
  default     = "20s"
}

variable "pause" {
  description = "The pause after the first; half of it is the second"
  default     = "10s"
}

variable "half" {
  description = "The second pause"
  default     = "5s"
}

variable "kills" {
  description = "For how long pods are killed"
  default     = "40s"
}

kubernetes {
  kubeconfig = var.kubeconfig
}

toxiproxy {
  proxy {
    name     = "hello"
    listen   = var.listen
    upstream = var.service
  }
}

probe "http" "application" {
  url     = "http://${var.listen}/"
  every   = "250ms"
  timeout = "2s"
}

probe "kubernetes" "workload" {
  namespace = var.namespace
  workload  = var.workload
  measure   = "rollout"
  every     = "500ms"
}

scenario "serial" {
  description = "The application answers through one disturbance after the other"
  seed        = 45

  hypothesis "the application answers" {
    probe = probe.application
  }

  hypothesis "it is complete again" {
    probe          = probe.workload
    during         = false
    recover_within = "60s"
    hold           = "2s"
  }

  fault "deployment_scale" "less-room" {
    namespace = var.namespace
    workload  = var.workload
    percent   = "80%"
    duration  = var.long
  }

  fault "toxiproxy_latency" "slow-network" {
    proxy    = "hello"
    latency  = "90ms"
    jitter   = "90ms"
    after    = fault.less-room
    at       = var.pause
    duration = var.long
  }

  fault "pod_kill" "pods" {
    namespace = var.namespace
    owner     = var.workload
    after     = fault.slow-network
    at        = var.half
    every     = "2s"
    duration  = var.kills
  }
}
