"""The server's part of the job: NVIDIA FLARE's controller around `conducting`.

Loaded by FLARE by its name, from the installed package; nothing else imports it.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask, Task, TaskCompletionStatus
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from equipoise.errors import EquipoiseError
from equipoise.federate.conducting import Course, Heard, conducted
from equipoise.federate.declaring import Federation, declared
from equipoise.federate.executing import SAID
from equipoise.federate.writing import RESULT, write_refusal, write_result


class Summing(Controller):  # type: ignore[misc]  # FLARE is untyped
    """Asks, sums, and writes the result into the job's folder.

    Parameters
    ----------
    study
        The declaration, the text of ``federation.yaml``.
    """

    def __init__(self, study: str) -> None:
        super().__init__()
        self.study: Federation = declared(yaml.safe_load(study))
        self._heard: dict[str, bytes] = {}
        self._failed: dict[str, str] = {}

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Do nothing: all is done in the flow."""

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Do nothing: what was written is whole."""

    def process_result_of_unknown_task(
        self,
        client: Client,
        task_name: str,
        client_task_id: str,
        result: Shareable,
        fl_ctx: FLContext,
    ) -> None:
        """Say that an answer came too late; it is in no sum."""
        del client_task_id, result
        self.log_warning(fl_ctx, f"{client.name} answered '{task_name}' too late; it is in no sum")

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Run both rounds; whatever happens, leave a file that says what did."""
        engine = fl_ctx.get_engine()
        job = str(fl_ctx.get_job_id())
        out = Path(engine.get_workspace().get_run_dir(job)) / RESULT
        present = [client.name for client in engine.get_clients()]
        course = Course()

        def ask(name: str, question: bytes, sites: Sequence[str]) -> Heard:
            return self._ask(name, question, sites, (abort_signal, fl_ctx))

        try:
            found = conducted(self.study, ask, present, job, course)
            write_result(out, self.study, found, course)
        except EquipoiseError as error:
            write_refusal(out, self.study, error, course)
            self.log_error(fl_ctx, f"no result: {error}")
            self.system_panic(f"no result: {error}", fl_ctx)

    def _ask(
        self, name: str, question: bytes, sites: Sequence[str], where: tuple[Signal, FLContext]
    ) -> Heard:
        abort_signal, fl_ctx = where
        started = time.monotonic()
        self._heard, self._failed = {}, {}
        times = self.study.timeouts
        task = Task(
            name=name,
            data=Shareable({SAID: question}),
            timeout=times.round,
            result_received_cb=self._keep,
        )
        self.broadcast_and_wait(
            task=task,
            fl_ctx=fl_ctx,
            targets=list(sites),
            min_responses=min(self.study.enough, len(sites)),
            wait_time_after_min_received=times.patience,
            abort_signal=abort_signal,
        )
        seconds = time.monotonic() - started
        late = f"it did not answer within {seconds:.0f} s"
        if task.completion_status == TaskCompletionStatus.CLIENT_DEAD:
            late += ": its connection was lost"
        silent = {s: self._failed.get(s, late) for s in sites if s not in self._heard}
        heard = {s: self._heard[s] for s in sites if s in self._heard}
        return Heard(heard, silent, seconds)

    def _keep(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        del fl_ctx
        name, result = client_task.client.name, client_task.result
        code = result.get_return_code()
        said = result.get(SAID)
        if code != ReturnCode.OK:
            self._failed[name] = f"its process failed ({code}); see its own log"
        elif not isinstance(said, bytes):
            self._failed[name] = f"it sent a {type(said).__name__}; expected bytes"
        else:
            self._heard[name] = said
        client_task.result = None
