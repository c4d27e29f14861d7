"""Job arrays, with scripts in the place of SLURM."""

import json

import pytest

import spikec as tc
from spikec.cluster import slurm as cluster
from spikec.errors import DataError, TargetUnavailable, ToolchainError
from spikec.processors import cores
from spikec.sweeping import slurm
from spikec.sweeping.store import Store
from spikec.sweeping.worker import compute

GRID = {"grid": {"model": "digits-cnn", "limit": 20, "timesteps": [1, 2]}}


def calls(state):
    return (state / "calls").read_text().splitlines()


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "results")
    made.prepare()
    return made


def test_an_array_computes_what_is_missing(slurm_state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "MAX_TASKS", 1)
    options = {"partition": "debug", "exclusive": ""}
    result = tc.sweep(GRID, "results", executor="slurm", jobs=1, slurm_options=options)
    assert result.states["done"] == 2
    assert {found["threads"] for found in result} == {1}
    (call,) = calls(slurm_state)
    for word in ("--parsable", "--array=0-0%1", "--partition=debug", "--exclusive", "--cpus-per-task=1"):
        assert word in call.split()
    assert tc.sweep(GRID, "results", executor="slurm").made == 0
    assert len(calls(slurm_state)) == 1


def test_what_is_queued_is_waited_for_and_not_submitted_again(slurm_state, store, configurations, finished):
    runs = configurations(timesteps=[1, 2])
    (slurm_state / "queue").write_text("PENDING")
    submitted = tc.sweep(GRID, store.folder, executor="slurm", wait=False)
    assert submitted.states["missing"] == 2
    assert submitted.made == 0
    (waiting,) = slurm.queued(store, {run.id for run in runs})
    assert waiting.ids == {run.id for run in runs}
    assert tc.sweep(GRID, store.folder, executor="slurm", wait=False).states["missing"] == 2
    assert len(calls(slurm_state)) == 1

    def cluster(seconds):
        """One more result per look at the queue."""
        compute(store, next(run for run in runs if store.read(run.id) is None), wait=False)

    slurm.wait(store, runs, [waiting], finished.call, sleep=cluster)
    assert finished.arrived == [(run.id, "done") for run in runs]


@pytest.mark.parametrize(
    "wrong",
    [
        [], None, {"job": "17"}, {"job": "--user=all", "tasks": []}, {"job": 17, "tasks": []},
        {"job": "17", "tasks": "ab"}, {"job": "17", "tasks": [[["a"]]]}, {"job": "17", "tasks": ["ab"]},
    ],
)  # fmt: skip
def test_damaged_files_of_job_arrays_are_passed_over(slurm_state, tmp_path, wrong):
    (tmp_path / "1").mkdir()
    (tmp_path / "1/job.json").write_text(json.dumps(wrong))
    (slurm_state / "queue").write_text("PENDING")
    assert cluster.queued(tmp_path) == []
    with pytest.raises(DataError, match=r"spikec writes for a job array: name another folder, or remove .*/1 if"):
        cluster.Submission.read(tmp_path / "1/job.json")
    (tmp_path / "1/job.json").write_text(json.dumps({"job": "17", "tasks": [["a", "b"], ["c"]]}))
    (found,) = cluster.queued(tmp_path)
    assert found.ids == {"a", "b", "c"}


def test_a_job_that_ends_without_a_result_has_failed(slurm_state, store, configurations, finished):
    runs = configurations(timesteps=[1, 2])
    (slurm_state / "queue").write_text("RUNNING")
    made = slurm.submit(store, runs)
    (slurm_state / "queue").unlink()
    made.log(runs[1].id).write_text("slurmstepd: error: Exceeded job memory limit\n")
    looks = []
    slurm.wait(store, runs, [made], finished.call, sleep=looks.append)
    assert {state for _, state in finished.arrived} == {"failed"}
    assert len(looks) > 1  # a network file system may be late: not at the first look
    assert "it left no words" in store.read(runs[0].id)["error"]["message"]
    assert "Exceeded job memory limit" in store.read(runs[1].id)["error"]["message"]


def test_a_controller_that_does_not_answer_is_no_verdict(slurm_state, store, configurations, finished):
    runs = configurations(timesteps=[1])
    (slurm_state / "queue").write_text("RUNNING")
    made = slurm.submit(store, runs)
    (slurm_state / "down").write_text("")
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 10:
            compute(store, runs[0], wait=False)

    slurm.wait(store, runs, [made], finished.call, sleep=sleep)
    assert finished.arrived == [(runs[0].id, "done")]
    assert max(looks) <= cluster.LAST_POLL


def test_more_runs_than_an_array_holds_share_tasks(slurm_state, store, configurations, monkeypatch):
    monkeypatch.setattr(cluster, "MAX_TASKS", 2)
    (slurm_state / "queue").write_text("PENDING")
    runs = configurations(timesteps=[1, 2, 3, 4, 5])
    made = slurm.submit(store, runs, threads=3)
    assert [len(task) for task in made.tasks] == [3, 2]
    assert {"--array=0-1", "--cpus-per-task=3"} <= set(calls(slurm_state)[0].split())
    tasks = json.loads((made.folder / "tasks.json").read_text())
    assert [[run["timesteps"] for run in task] for task in tasks] == [[1, 2, 3], [4, 5]]


def test_without_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetUnavailable, match="no sbatch and no squeue on PATH"):
        tc.sweep(GRID, tmp_path / "results", executor="slurm")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("sbatch: error: invalid partition specified: nope", ToolchainError),
        ("sbatch: error: Unable to contact slurm controller", TargetUnavailable),
    ],
)
def test_what_sbatch_refuses(slurm_state, tmp_path, said, kind):
    (slurm_state / "refuse").write_text(said)
    with pytest.raises(kind, match=said.split(": ")[-1]):
        tc.sweep(GRID, tmp_path / "results", executor="slurm")


def test_options_the_sweep_needs_itself(slurm_state, tmp_path):
    with pytest.raises(ToolchainError, match="sets this itself"):
        tc.sweep(GRID, tmp_path / "results", executor="slurm", slurm_options={"array": "0-3"})


def test_a_task_has_no_more_cores_than_a_node(slurm_state, store, configurations, monkeypatch):
    runs, words = configurations(timesteps=[1]), r"threads: a task cannot have {}, {}; give fewer"
    for nodes, limit in (
        ("16\n32+\n", "the largest node of this cluster has 32 cores"),
        ("", "at most 1024 are taken"),
    ):
        (slurm_state / "nodes").write_text(nodes)
        with pytest.raises(DataError, match=words.format("1000000 cores", limit)):
            slurm.submit(store, runs, threads=1000000)
    (slurm_state / "nodes").write_text("4\n")
    with pytest.raises(DataError, match="the largest node of the partition debug has 4 cores"):
        slurm.submit(store, runs, threads=5, options={"partition": "debug"})
    assert not (slurm_state / "calls").exists()
    (slurm_state / "queue").write_text("PENDING")
    slurm.submit(store, runs, threads=4, jobs=10**6)
    assert {"--array=0-0%1", "--cpus-per-task=4"} <= set(calls(slurm_state)[0].split())
    (slurm_state / "sinfo").unlink()  # no answer at all
    monkeypatch.setenv("PATH", str(slurm_state))
    cluster.check_threads(1024, {})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1", "SLURM_CPUS_ON_NODE": "9"}, 1),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "1"}, 1),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1000000"}, None),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "many"}, None),
        ({"SLURM_CPUS_PER_TASK": "1"}, None),  # a setting that was left over, not a job
    ],
)
def test_a_job_has_the_cores_of_its_allocation(monkeypatch, environment, expected):
    for name in ("SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    here = cores()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cores() == (expected or here)


def test_what_is_left_of_an_array_is_ended_by_scancel(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/scancel"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    cluster.cancel(cluster.Submission(tmp_path, "17", ()))
    assert (tmp_path / "said").read_text() == "17\n"
