"""A Docker engine as runtime: one container per service.

Owns the hardening baseline and the rollout rules. Does not own images, nor what the services are.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_docker as docker

import catalogue
from runtime.engine import bundle as bundles
from runtime.engine import hooks
from runtime.engine.formats import cpu_share, duration, tmpfs_options
from runtime.spec import (
    FileBundle,
    Files,
    HealthCheck,
    HostFolder,
    Mount,
    Rollout,
    RunningService,
    RuntimeArgs,
    ServiceSpec,
    Tmpfs,
    Volume,
)

JOB_FOLDER = "/run/job"
_JOB_CHECK_SECONDS = 20

# What the provider records as changed but never applies, and "#initerror": without it the next update would accept
# a container that failed to become healthy.
_REPLACE_ON_CHANGES = [
    "#initerror",
    "mounts",
    "tmpfs",
    "init",
    "healthcheck",
    "memory",
    "memorySwap",
    "restart",
]


class EngineRuntime:
    """Runs services as containers of one engine; implements `runtime.Runtime`."""

    def __init__(self, args: RuntimeArgs) -> None:
        self._args = args
        self._startups = hooks.StartupFollower()
        self._ownership = pulumi.ResourceHook(
            "volume-ownership",
            hooks.refuse_foreign_volume,
            opts=pulumi.ResourceHookOptions(on_dry_run=True),
        )

    def network(
        self, name: str, *, internal: bool, subnet: str | None, parent: pulumi.Resource
    ) -> pulumi.Output[str]:
        """See `runtime.Runtime.network`."""
        gateway = subnet and str(next(ipaddress.ip_network(subnet).hosts()))
        network = docker.Network(
            name,
            driver="bridge",
            internal=internal,
            # Without the gateway the one that is read back forces a replacement.
            ipam_configs=[docker.NetworkIpamConfigArgs(subnet=subnet, gateway=gateway)] if subnet else None,
            labels=[
                docker.NetworkLabelArgs(label=label, value=value)
                for label, value in self._labels("network").items()
            ],
            # A subnet cannot be held by two networks at once.
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=subnet is not None),
        )
        return network.name

    def data_volume(
        self,
        name: str,
        *,
        protect: bool,
        parent: pulumi.Resource,
        former_parents: Sequence[pulumi.Input[str]] = (),
    ) -> Volume:
        """See `runtime.Runtime.data_volume`."""
        labels: dict[str, pulumi.Input[str]] = {
            **self._labels(catalogue.DATA_SERVICE),
            catalogue.STACK_ID_LABEL: self._args.stack_id,
        }
        volume = docker.Volume(
            name,
            name=name,
            labels=[docker.VolumeLabelArgs(label=label, value=value) for label, value in labels.items()],
            opts=pulumi.ResourceOptions(
                parent=parent,
                aliases=[pulumi.Alias(parent=urn) for urn in former_parents],
                protect=protect,
                retain_on_delete=protect,
                hooks=pulumi.ResourceHookBinding(before_create=[self._ownership]),
            ),
        )
        # Not the resource's output: through it, a replaced volume would delete the containers that use it.
        return Volume(name=name, resource=volume)

    def scratch_volume(self, name: str, *, parent: pulumi.Resource) -> Volume:
        """See `runtime.Runtime.scratch_volume`."""
        volume = docker.Volume(
            name,
            labels=[
                docker.VolumeLabelArgs(label=label, value=value)
                for label, value in self._labels(catalogue.SCRATCH_SERVICE).items()
            ],
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=False),
        )
        return Volume(name=volume.name, resource=volume)

    def files(self, name: str, bundle: FileBundle, *, parent: pulumi.Resource) -> Files:
        """See `runtime.Runtime.files`."""
        return bundles.create(
            name,
            bundle,
            key=self._args.bundle_key,
            image=self._args.base_image,
            labels=self._labels(f"{bundle.service}{catalogue.FILES_SUFFIX}"),
            parent=parent,
        )

    def run(
        self,
        name: str,
        spec: ServiceSpec,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
        replace_with: Sequence[pulumi.Resource] = (),
    ) -> RunningService:
        """See `runtime.Runtime.run`."""
        is_job = spec.rollout is Rollout.JOB
        tmpfs = [*spec.tmpfs, *([Tmpfs(path=JOB_FOLDER, size_mb=1)] if is_job else [])]
        health = _job_health(spec.deadline_seconds) if is_job else spec.health
        follow_startup = self._startups.hook(
            spec.service,
            is_job=is_job,
            seconds=spec.deadline_seconds,
            startup_gate=spec.startup_gate.job if spec.startup_gate else None,
        )
        container = docker.Container(
            name,
            image=spec.image,
            # Images have their entrypoint; a job's is the wrapper of the base image that reports how it ended.
            entrypoints=["run-job"] if is_job else None,
            command=list(spec.command) or None,
            user=f"{spec.user}:{spec.user}",
            envs=_environment(spec.environment),
            labels=[
                docker.ContainerLabelArgs(label=label, value=value)
                for label, value in self._labels(spec.service).items()
            ],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=one.network, aliases=list(one.aliases))
                for one in spec.networks
            ],
            network_mode="bridge" if spec.networks else "none",
            # Docker Desktop resolves the name by itself, an engine on Linux only with this.
            hosts=[docker.ContainerHostArgs(host=catalogue.MACHINE, ip="host-gateway")]
            if spec.reaches_machine
            else None,
            ports=[
                docker.ContainerPortArgs(internal=port.internal, external=port.external, ip=port.address)
                for port in sorted(spec.ports, key=lambda port: port.internal)
            ]
            or None,
            volumes=[_volume(mount) for mount in (*spec.mounts, *spec.files)] or None,
            tmpfs={one.path: tmpfs_options(one, spec.user) for one in tmpfs} or None,
            memory=spec.limits.memory_mb,
            memory_swap=spec.limits.memory_mb,
            cpus=cpu_share(spec.limits.cpus) if spec.limits.cpus else None,
            shm_size=spec.shared_memory_mb,
            read_only=True,
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            init=True,
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            restart="no" if is_job else "unless-stopped",
            must_run=not is_job,
            stop_signal=spec.stop_signal,
            stop_timeout=spec.drain_seconds,
            # The provider's grace period for a delete; without it, it kills the container.
            destroy_grace_seconds=spec.drain_seconds,
            healthcheck=_health(health) if health else None,
            wait=health is not None,
            wait_timeout=spec.deadline_seconds + _gate_seconds(spec),
            opts=pulumi.ResourceOptions(
                parent=parent,
                depends_on=[*depends_on, *spec.mounted],
                delete_before_replace=spec.rollout is Rollout.STOP_FIRST,
                replace_on_changes=_REPLACE_ON_CHANGES,
                replace_with=list(replace_with),
                hooks=pulumi.ResourceHookBinding(
                    before_create=[pulumi.ResourceHook(f"follow-startup-{name}", follow_startup)]
                ),
            ),
        )
        return RunningService(name=container.name, resource=container)

    def _labels(self, service: str) -> dict[str, str]:
        return {catalogue.SERVICE_LABEL: service, catalogue.STACK_LABEL: self._args.stack}


def _health(check: HealthCheck) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *check.command],
        interval=duration(check.interval_seconds),
        timeout=duration(check.timeout_seconds),
        start_period=duration(check.start_period_seconds),
        retries=check.retries,
    )


def _job_health(deadline_seconds: int) -> HealthCheck:
    # The provider ignores exit codes, but waits for health: a job is healthy once it has succeeded. The check
    # itself waits for that, so the engine knows at once and does not start a process every second. It begins at
    # once, so that the provider sees a short job succeed at its first poll, after a second.
    return HealthCheck(
        command=("run-job", "--succeeded", str(_JOB_CHECK_SECONDS)),
        interval_seconds=0.2,
        timeout_seconds=_JOB_CHECK_SECONDS + 10,
        start_period_seconds=deadline_seconds,
    )


def _gate_seconds(spec: ServiceSpec) -> int:
    """Return the seconds that the startup gate's job may take, and a minute, so that the hook gives up first."""
    return spec.startup_gate.deadline_seconds + 60 if spec.startup_gate else 0


def _environment(environment: Mapping[str, pulumi.Input[str]]) -> list[pulumi.Input[str]] | None:
    return [pulumi.Output.concat(key, "=", value) for key, value in sorted(environment.items())] or None


def _volume(mount: Mount | HostFolder | Files) -> docker.ContainerVolumeArgs:
    if isinstance(mount, HostFolder):
        return docker.ContainerVolumeArgs(host_path=mount.source, container_path=mount.path, read_only=True)
    if isinstance(mount, Files):
        return docker.ContainerVolumeArgs(volume_name=mount.name, container_path=mount.path, read_only=True)
    return docker.ContainerVolumeArgs(
        volume_name=mount.volume.name, container_path=mount.path, read_only=mount.read_only
    )
