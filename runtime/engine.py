"""A Docker engine as the place where services run: one container per service.

Owns the hardening baseline, the rollout rules, and the forms in which the engine reads values back (anything
else shows up as a difference in every preview). Does not own images, and not what the services are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_docker as docker

from runtime import bundle as bundles
from runtime import hooks
from runtime.spec import HealthCheck, Mount, Rollout, RunningService, ServiceSpec, Tmpfs

JOB_FOLDER = "/run/job"
_JOB_CHECK_SECONDS = 20

# What the provider records as changed but never applies, and "#initerror": without it a container that failed
# to become healthy is called good by the next update.
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


def duration(seconds: float) -> str:
    """Write a duration as the engine reads it back (`90` → `1m30s`, `0.5` → `500ms`)."""
    if 0 < seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = (int(part) for part in divmod(minutes, 60))
    text = f"{round(rest, 3):g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def cpu_share(cpus: float) -> str:
    """Write a number of CPUs as the engine reads it back (`1` → `1.0`).

    Raises:
        ValueError: for shares finer than a tenth, which the provider rounds when reading.
    """
    text = f"{cpus:.1f}"
    if float(text) != cpus:
        raise ValueError(f"CPU shares are multiples of 0.1, not {cpus}")
    return text


def tmpfs_options(tmpfs: Tmpfs, user: int) -> str:
    """Write the mount options of a tmpfs that belongs to the service's user."""
    execution = "exec" if tmpfs.executable else "noexec"
    return f"rw,nosuid,nodev,{execution},size={tmpfs.size_mb}m,mode=0700,uid={user},gid={user}"


def _health(check: HealthCheck) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *check.command],
        interval=duration(check.interval_seconds),
        timeout=duration(check.timeout_seconds),
        start_period=duration(check.start_period_seconds),
        retries=check.retries,
    )


def _job_health(deadline_seconds: int) -> HealthCheck:
    # The provider ignores exit codes, but waits for health: a JOB is healthy once it has succeeded. The check
    # itself waits for that, so the engine knows at once and does not start a process every second. It begins at
    # once, so that a JOB of a moment is seen at the provider's first look, after a second.
    return HealthCheck(
        command=("run-job", "--succeeded", str(_JOB_CHECK_SECONDS)),
        interval_seconds=0.2,
        timeout_seconds=_JOB_CHECK_SECONDS + 10,
        start_period_seconds=deadline_seconds,
    )


class EngineRuntime:
    """Runs services as containers of one engine; implements `runtime.Runtime`."""

    def __init__(
        self,
        *,
        stack: str,
        stack_id: pulumi.Input[str],
        bundle_key: pulumi.Input[str],
        bundle_image: pulumi.Input[str],
    ) -> None:
        self._stack = stack
        self._stack_id = stack_id
        self._bundle_key = bundle_key
        self._bundle_image = bundle_image
        self._ownership = pulumi.ResourceHook(
            "volume-ownership",
            hooks.refuse_foreign_volume,
            opts=pulumi.ResourceHookOptions(on_dry_run=True),
        )

    def _labels(self, service: str) -> dict[str, str]:
        return {"letta-platform.service": service, "letta-platform.stack": self._stack}

    def network(
        self, name: str, *, internal: bool, subnet: str | None, parent: pulumi.Resource
    ) -> pulumi.Output[str]:
        """See `runtime.Runtime.network`."""
        gateway = subnet and str(_first_host(subnet))
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

    def data_volume(self, name: str, *, protect: bool, parent: pulumi.Resource) -> docker.Volume:
        """See `runtime.Runtime.data_volume`."""
        labels: dict[str, pulumi.Input[str]] = {
            **self._labels("data"),
            "letta-platform.stack-id": self._stack_id,
        }
        return docker.Volume(
            name,
            name=name,
            labels=[docker.VolumeLabelArgs(label=label, value=value) for label, value in labels.items()],
            opts=pulumi.ResourceOptions(
                parent=parent,
                protect=protect,
                retain_on_delete=protect,
                hooks=pulumi.ResourceHookBinding(before_create=[self._ownership]),
            ),
        )

    def scratch_volume(self, name: str, *, parent: pulumi.Resource) -> pulumi.Output[str]:
        """See `runtime.Runtime.scratch_volume`."""
        volume = docker.Volume(
            name,
            labels=[
                docker.VolumeLabelArgs(label=label, value=value)
                for label, value in self._labels("scratch").items()
            ],
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=False),
        )
        return volume.name

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
        labels = self._labels(spec.service)
        needed: list[pulumi.Resource] = list(depends_on)
        files: list[Mount] = []
        for bundle in spec.bundles:
            mount, complete = bundles.create(
                f"{name}-{bundle.name}",
                bundle,
                key=self._bundle_key,
                image=self._bundle_image,
                owner=spec.user,
                labels=self._labels(f"{spec.service}-files"),
                parent=parent,
            )
            files.append(mount)
            needed.append(complete)
        mounts = [*spec.mounts, *files]
        tmpfs = [*spec.tmpfs, *([Tmpfs(path=JOB_FOLDER, size_mb=1)] if is_job else [])]
        health = _job_health(spec.deadline_seconds) if is_job else spec.health
        follow_startup = hooks.follow_startup(
            spec.service,
            is_job=is_job,
            seconds=spec.deadline_seconds,
            startup_gate=spec.startup_gate.job if spec.startup_gate else None,
        )
        container = docker.Container(
            name,
            image=spec.image,
            # Images bring their entrypoint; a JOB's is the wrapper of the base image that tells how it ended.
            entrypoints=["run-job"] if is_job else None,
            command=list(spec.command) or None,
            user=f"{spec.user}:{spec.user}",
            envs=_environment(spec.environment),
            labels=[docker.ContainerLabelArgs(label=label, value=value) for label, value in labels.items()],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=one.network, aliases=list(one.aliases))
                for one in spec.networks
            ],
            network_mode="bridge" if spec.networks else "none",
            ports=[
                docker.ContainerPortArgs(internal=port.internal, external=port.external, ip=port.address)
                for port in sorted(spec.ports, key=lambda port: port.internal)
            ]
            or None,
            volumes=[_volume(mount) for mount in mounts] or None,
            tmpfs={one.path: tmpfs_options(one, spec.user) for one in tmpfs} or None,
            memory=spec.memory_mb,
            memory_swap=spec.memory_mb,
            cpus=cpu_share(spec.cpus) if spec.cpus else None,
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
            # The provider stops with this one; without it a delete is a kill.
            destroy_grace_seconds=spec.drain_seconds,
            healthcheck=_health(health) if health else None,
            wait=health is not None,
            wait_timeout=spec.deadline_seconds + _longest_wait(spec),
            opts=pulumi.ResourceOptions(
                parent=parent,
                depends_on=needed,
                delete_before_replace=spec.rollout is Rollout.STOP_FIRST,
                replace_on_changes=_REPLACE_ON_CHANGES,
                replace_with=list(replace_with),
                hooks=pulumi.ResourceHookBinding(
                    before_create=[pulumi.ResourceHook(f"watch-{name}", follow_startup)]
                ),
            ),
        )
        return RunningService(name=container.name, resource=container, files=tuple(files))


def _longest_wait(spec: ServiceSpec) -> int:
    """Give the seconds that the JOB beside a service may take, and a minute, so that the hook gives up first."""
    return spec.startup_gate.deadline_seconds + 60 if spec.startup_gate else 0


def _first_host(subnet: str) -> object:
    import ipaddress

    return next(ipaddress.ip_network(subnet).hosts())


def _environment(environment: Mapping[str, pulumi.Input[str]]) -> list[pulumi.Input[str]] | None:
    return [pulumi.Output.concat(key, "=", value) for key, value in sorted(environment.items())] or None


def _volume(mount: Mount) -> docker.ContainerVolumeArgs:
    return docker.ContainerVolumeArgs(
        volume_name=None if mount.host_folder else mount.source,
        host_path=mount.source if mount.host_folder else None,
        container_path=mount.path,
        read_only=mount.read_only,
    )
