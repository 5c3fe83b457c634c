"""A docker command that notes what it is asked and gives prepared answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class FakeDocker:
    """Answers by the first word that occurs in a command; everything else succeeds with no output."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    environs: list[Mapping[str, str]] = field(default_factory=list)

    def __call__(self, command: Sequence[str], environ: Mapping[str, str], /) -> tuple[int, str]:
        self.commands.append(list(command))
        self.environs.append(environ)
        return next((answer for word, answer in self.answers.items() if word in command), (0, ""))

    def asked(self) -> set[str]:
        """Give the compose commands without the options that all of them share."""
        return {" ".join(command[6:]) for command in self.commands if command[2] == "--project-name"}
