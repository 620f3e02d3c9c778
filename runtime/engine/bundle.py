"""File bundles on a Docker engine: a volume filled once, by a container that never starts.

Uploading into the service's own container is no alternative: the engine refuses any upload into a container with a
read-only root. Neither are bind mounts: the engine may run on another machine than this program.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping

import pulumi
import pulumi_docker as docker

import catalogue
from runtime.spec import FileBundle, Files


def content_label(key: str, files: Mapping[str, str]) -> str:
    """Return a keyed digest of the files: it changes with them, and reveals nothing to readers without the key.

    A plain hash would let whoever can read labels try guesses at a weak secret offline.
    """
    content = json.dumps(dict(files), sort_keys=True).encode()
    return hmac.digest(key.encode(), content, "sha256").hex()[:32]


def create(
    name: str,
    bundle: FileBundle,
    *,
    key: pulumi.Input[str],
    image: pulumi.Input[str],
    labels: Mapping[str, str],
    parent: pulumi.Resource,
) -> Files:
    """Create the volume and its content.

    `image` must name no user: the engine would make that one the owner of the files.
    """
    digest = pulumi.Output.unsecret(
        pulumi.Output.all(key, dict(bundle.files)).apply(lambda known: content_label(known[0], known[1]))
    )
    volume = docker.Volume(
        name,
        labels=[
            *[docker.VolumeLabelArgs(label=label, value=value) for label, value in labels.items()],
            docker.VolumeLabelArgs(label=catalogue.CONTENT_LABEL, value=digest),
        ],
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=False),
    )
    holder = docker.Container(
        name,
        image=image,
        # Never started; it only gives the engine a file system to write the files into.
        command=["true"],
        start=False,
        must_run=False,
        restart="no",
        network_mode="none",
        labels=[docker.ContainerLabelArgs(label=label, value=value) for label, value in labels.items()],
        volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path=bundle.path)],
        uploads=[
            docker.ContainerUploadArgs(
                file=f"{bundle.path}/{file}",
                content=content,
                permissions="0400",
                owner=str(bundle.owner),
                group=str(bundle.owner),
            )
            for file, content in bundle.files.items()
        ],
        opts=pulumi.ResourceOptions(
            parent=parent,
            delete_before_replace=False,
            replace_on_changes=["#initerror"],
        ),
    )
    return Files(name=volume.name, path=bundle.path, resource=holder)
