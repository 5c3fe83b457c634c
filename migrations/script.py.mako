<%!
from sink.db.layout import laid_out
%>"""${message.strip().rstrip(".")[:1].upper() + message.strip().rstrip(".")[1:]}.

Old code must run on the new schema: add what is nullable or has a default, drop only what no release reads any more.
"""

from __future__ import annotations

% if "sa." in (upgrades or "") + (downgrades or ""):
import sqlalchemy as sa
% endif
from alembic import op
% if imports:
${imports}
% endif

revision: str = "${up_revision}"
down_revision: str | None = ${'"%s"' % down_revision if isinstance(down_revision, str) else down_revision}
branch_labels: str | None = None
depends_on: str | None = None
oldest_code: str = ${"down_revision" if isinstance(down_revision, str) else "revision"}
"""Code of this revision and later runs on the schema as it is from here on; ``revision`` where a release contracts."""


def upgrade() -> None:
${laid_out(upgrades)}


def downgrade() -> None:
${laid_out(downgrades)}
