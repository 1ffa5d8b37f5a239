"""A site's part of the job: NVIDIA FLARE's executor around `answering`.

Loaded by FLARE by its name, from the installed package; the site allows no other code.
"""

from pathlib import Path

from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from equipoise.federate.answering import ROUNDS, answer

SAID = "equipoise"
"""Under this key a message travels, as bytes."""


class Counting(Executor):  # type: ignore[misc]  # FLARE is untyped
    """Counts what lies at this site, by what its own folder ``local`` says, and answers."""

    def execute(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal
    ) -> Shareable:
        """Return the answer to one round."""
        if task_name not in ROUNDS:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        question = shareable.get(SAID)
        if not isinstance(question, bytes):
            return make_reply(ReturnCode.BAD_TASK_DATA)
        self.log_info(fl_ctx, f"asked for {task_name}")
        said = answer(question, self._folder(fl_ctx), str(fl_ctx.get_identity_name()))
        if abort_signal.triggered:
            return make_reply(ReturnCode.TASK_ABORTED)
        self.log_info(fl_ctx, f"answered {task_name} with {len(said)} bytes")
        return Shareable({SAID: said})

    def _folder(self, fl_ctx: FLContext) -> Path:
        """Return the site's own folder; in the simulator all sites share one, each with a part."""
        local = Path(fl_ctx.get_engine().get_workspace().get_site_config_dir())
        mine = local / str(fl_ctx.get_identity_name())
        return mine if mine.is_dir() else local
