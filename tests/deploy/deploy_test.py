#!/usr/bin/env python3
"""Reads what deploy/ ships the way its users' tools will: promtool, systemd, the daemon itself, and YAML and JSON readers.

usage: deploy_test.py [--scovilled PROGRAM] [unittest arguments]. Needs python3-yaml, promtool, systemd-analyze: a tool
that is missing is a failure, not a skip.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
SCOVILLED = None  # --scovilled


# What tests are told through SCOVILLE_ variables is no configuration of the daemon, which warns of such names.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SCOVILLE_")}


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=60,
                          env=ENVIRONMENT)
    return done.returncode, done.stdout + done.stderr


def documents(*paths):
    return [document for path in paths for document in yaml.safe_load_all(path.read_text()) if document]


def rendered_names():
    """Every native series that the daemon's source can write, histograms with their three."""
    names = set()
    for path in (ROOT / "server/metrics").glob("*.cc"):
        text = path.read_text()
        if path.name == "vllm_metrics.cc":
            continue
        for kind, name in re.findall(r'\b(Counter|Gauge|Histogram|histogram)\(\s*"([a-z_]+)"', text):
            parts = ("_bucket", "_sum", "_count") if kind.lower() == "histogram" else ("",)
            names.update(f"scoville_{name}{part}" for part in parts)
    return names


def recorded_names():
    groups = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def unknown_series(expression):
    used = set(re.findall(r"\bscoville_[a-z0-9_]+", expression)) - rendered_names()
    return used | (set(re.findall(r"\bscoville:[a-z0-9_:]+", expression)) - recorded_names())


class PrometheusTest(unittest.TestCase):
    def test_configuration(self):
        code, words = run("promtool", "check", "config", DEPLOY / "prometheus/prometheus.yml")
        self.assertEqual(code, 0, words)

    def test_rules_give_what_they_should(self):
        code, words = run("promtool", "test", "rules", DEPLOY / "prometheus/rules_test.yml")
        self.assertEqual(code, 0, words)

    def test_a_wrong_rule_is_noticed(self):
        with tempfile.TemporaryDirectory() as folder:
            rules = (DEPLOY / "prometheus/rules.yml").read_text().replace('phase="output"', 'phase="input"')
            pathlib.Path(folder, "rules.yml").write_text(rules)
            test = pathlib.Path(folder, "rules_test.yml")
            test.write_text((DEPLOY / "prometheus/rules_test.yml").read_text())
            self.assertNotEqual(run("promtool", "test", "rules", test)[0], 0)

    def test_every_rule_is_tested(self):
        groups = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
        tests = (DEPLOY / "prometheus/rules_test.yml").read_text()
        for rule in (rule for group in groups for rule in group["rules"]):
            name = rule.get("record") or rule["alert"]
            if name != "scoville:error_ratio:rate5m":  # by its alert
                self.assertIn(name, tests)

    def test_rules_use_series_that_exist(self):
        self.assertGreater(len(rendered_names()), 50)
        groups = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
        for rule in (rule for group in groups for rule in group["rules"]):
            self.assertEqual(unknown_series(rule["expr"]), set(), rule)

    def test_alerts_say_where_to_read_on(self):
        groups = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
        for alert in (rule for group in groups for rule in group["rules"] if "alert" in rule):
            path, _, anchor = alert["annotations"]["runbook_url"].partition("#")
            headings = re.findall(r"^## (\w+)$", (ROOT / path).read_text(), re.MULTILINE)
            self.assertIn(alert["alert"], headings)
            self.assertEqual(anchor, alert["alert"].lower())
            self.assertIn("{{", alert["annotations"]["summary"], "the value is missing")


class DashboardTest(unittest.TestCase):
    def setUp(self):
        self.dashboard = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
        self.panels = [panel for panel in self.dashboard["panels"] if panel["type"] != "row"]

    def test_panels_explain_themselves(self):
        ids = [panel["id"] for panel in self.dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in self.panels:
            self.assertTrue(panel["title"] and panel["description"].endswith("."), panel["title"])
            self.assertIn("unit", panel["fieldConfig"]["defaults"], panel["title"])
            self.assertTrue(panel["targets"], panel["title"])

    def test_rows(self):
        rows = " ".join(panel["title"] for panel in self.dashboard["panels"] if panel["type"] == "row")
        for word in ("Now", "Latency", "Energy", "Scheduler", "KV", "Devices", "emulated"):
            self.assertIn(word, rows)

    def test_panels_do_not_overlap(self):
        taken = set()
        for panel in self.dashboard["panels"]:
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24)
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells

    def test_queries_use_series_that_exist_and_parse(self):
        rules = []
        for panel in self.panels:
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "1m")
                self.assertEqual(unknown_series(expression), set(), panel["title"])
                rules.append({"record": f"panel_{panel['id']}:{target['refId'].lower()}", "expr": expression})
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "panels.yml")
            path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
            code, words = run("promtool", "check", "rules", path)
        self.assertEqual(code, 0, words)

    def test_provisioning_finds_it(self):
        compose = documents(DEPLOY / "compose.yaml")[0]["services"]["grafana"]
        provider = documents(DEPLOY / "grafana/provisioning/dashboards/scoville.yaml")[0]["providers"][0]
        target = provider["options"]["path"]
        self.assertIn(f"./grafana/dashboard.json:{target}/dashboard.json:ro", compose["volumes"])
        source = documents(DEPLOY / "grafana/provisioning/datasources/prometheus.yaml")[0]["datasources"][0]
        self.assertEqual(source["url"], "http://prometheus:9090")


class ComposeTest(unittest.TestCase):
    def setUp(self):
        self.services = documents(DEPLOY / "compose.yaml")[0]["services"]

    def test_services(self):
        self.assertEqual(set(self.services), {"scovilled", "prometheus", "grafana"})
        for name, service in self.services.items():
            self.assertNotRegex(service["image"], r":latest$|^[^:]+$", "a version is missing")
            for port in service["ports"]:
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name} publishes {port} to other machines")
            for volume in service.get("volumes", []):
                if volume.startswith("./"):
                    self.assertTrue((DEPLOY / volume.split(":")[0]).exists(), volume)

    def test_daemon_is_confined(self):
        daemon = self.services["scovilled"]
        self.assertTrue(daemon["read_only"])
        self.assertEqual(daemon["user"], "65532:65532")
        self.assertEqual(daemon["cap_drop"], ["ALL"])

    def test_prometheus_scrapes_the_daemon(self):
        jobs = documents(DEPLOY / "prometheus/prometheus.yml")[0]["scrape_configs"]
        target = next(job for job in jobs if job["job_name"] == "scoville")["static_configs"][0]["targets"][0]
        self.assertEqual(target.split(":")[0], "scovilled")
        self.assertTrue(any(port.endswith(":" + target.split(":")[1]) for port in self.services["scovilled"]["ports"]))


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text).group(1))


class KubernetesTest(unittest.TestCase):
    def setUp(self):
        self.objects = documents(*sorted((DEPLOY / "kubernetes").glob("*.yaml")))
        self.deployment = self.one("Deployment")
        self.pod = self.deployment["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]

    def one(self, kind):
        return next(item for item in self.objects if item["kind"] == kind)

    def test_objects(self):
        names = [(item["kind"], item["metadata"]["name"]) for item in self.objects]
        self.assertEqual(sorted(names), [("ConfigMap", "scoville"), ("Deployment", "scoville"),
                                         ("PodDisruptionBudget", "scoville"), ("Service", "scoville"),
                                         ("Service", "scoville-headless")])

    def test_selectors_match_the_pod(self):
        labels = self.deployment["spec"]["template"]["metadata"]["labels"].items()
        selectors = [self.deployment["spec"]["selector"]["matchLabels"],
                     self.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
        selectors += [item["spec"]["selector"] for item in self.objects if item["kind"] == "Service"]
        for selector in selectors:
            self.assertTrue(selector and selector.items() <= labels, selector)

    def test_ports(self):
        names = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        for service in (item for item in self.objects if item["kind"] == "Service"):
            for port in service["spec"]["ports"]:
                self.assertEqual(port["port"], names[port["targetPort"]])
        config = yaml.safe_load(self.one("ConfigMap")["data"]["scovilled.yaml"])["listeners"]
        self.assertEqual({name: int(config[name].rsplit(":", 1)[1]) for name in names}, names)
        self.assertEqual(self.container["readinessProbe"]["grpc"]["port"], names["grpc"])
        self.assertEqual(self.container["livenessProbe"]["httpGet"]["path"], "/healthz")

    def test_grace_is_long_enough(self):
        drain = yaml.safe_load(self.one("ConfigMap")["data"]["scovilled.yaml"])["drain"]
        pre_stop = int(self.container["lifecycle"]["preStop"]["exec"]["command"][1])
        needed = pre_stop + seconds(drain["lameduck"]) + seconds(drain["deadline"]) + 20
        self.assertGreaterEqual(self.pod["terminationGracePeriodSeconds"], needed)

    def test_pod_is_confined(self):
        self.assertTrue(self.pod["securityContext"]["runAsNonRoot"])
        self.assertEqual(self.pod["securityContext"]["runAsUser"], 65532)
        self.assertTrue(self.container["securityContext"]["readOnlyRootFilesystem"])
        self.assertEqual(self.container["securityContext"]["capabilities"], {"drop": ["ALL"]})
        self.assertIs(self.pod["enableServiceLinks"], False)

    def test_configuration_is_that_of_the_image(self):
        image = documents(DEPLOY / "config/container.yaml")[0]
        self.assertEqual(yaml.safe_load(self.one("ConfigMap")["data"]["scovilled.yaml"]), image)
        mount = self.container["volumeMounts"][0]
        self.assertIn(mount["mountPath"] + "/scovilled.yaml", self.container["args"])
        self.assertEqual(self.pod["volumes"][0]["configMap"]["name"], self.one("ConfigMap")["metadata"]["name"])


class ImageTest(unittest.TestCase):
    def setUp(self):
        self.text = (DEPLOY / "Dockerfile").read_text()
        self.last_stage = self.text[self.text.rindex("\nFROM "):]

    def test_last_stage(self):
        self.assertIn("USER 65532:65532", self.last_stage)
        self.assertIn('HEALTHCHECK', self.last_stage)
        self.assertIn('["scoville", "health", "--ready"]', self.last_stage)
        self.assertIn('ENTRYPOINT ["scovilled"]', self.last_stage)
        self.assertNotRegex(self.last_stage, r"apt-get install(?!.*--no-install-recommends)")
        self.assertNotIn("-dev", self.last_stage)
        self.assertIn("EXPOSE 50051 8000", self.last_stage)

    def test_copies_exist(self):
        for line in re.findall(r"^COPY (?!--from)(.*)$", self.text, re.MULTILINE):
            for source in line.split()[:-1]:
                if "*" not in source:
                    self.assertTrue((ROOT / source).exists(), line)

    def test_package_lists_agree(self):
        expression = re.search(r"\$\(sed -n '(.*?)' tools/packages.txt\)", self.text).group(1)
        code, names = run("sed", "-n", expression, ROOT / "tools/packages.txt")
        self.assertEqual(code, 0)
        self.assertIn("libgrpc++-dev", names.split())
        self.assertNotIn("docker.io", names.split())


class SystemdTest(unittest.TestCase):
    UNIT = DEPLOY / "systemd/scovilled.service"

    def unit_here(self, folder):
        """A copy whose program exists on this machine."""
        path = pathlib.Path(folder, "scovilled.service")
        path.write_text(self.UNIT.read_text().replace("/usr/bin/scovilled", "/bin/true"))
        return path

    def test_verify(self):
        with tempfile.TemporaryDirectory() as folder:
            code, words = run("systemd-analyze", "verify", "--man=no", self.unit_here(folder))
        lines = [line for line in words.split("\n") if "scovilled.service" in line]
        self.assertEqual((code, lines), (0, []), words)

    def test_exposure(self):
        with tempfile.TemporaryDirectory() as folder:
            code, words = run("systemd-analyze", "security", "--offline=yes", "--threshold=20", self.unit_here(folder))
        self.assertEqual(code, 0, words)

    def test_stop_takes_longer_than_a_drain(self):
        text = self.UNIT.read_text()
        drain = documents(DEPLOY / "config/scovilled.yaml")[0]["drain"]
        stop = int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE).group(1))
        self.assertGreater(stop, seconds(drain["lameduck"]) + seconds(drain["deadline"]))
        self.assertRegex(text, r"(?m)^Type=notify$")
        self.assertNotRegex(text, r"(?m)^MemoryDenyWriteExecute=yes")


class ConfigTest(unittest.TestCase):
    """The daemon's own word on the configuration files."""

    def test_files_are_accepted(self):
        for path in sorted((DEPLOY / "config").glob("*.yaml")):
            code, words = run(SCOVILLED, "config", "check", path)
            self.assertEqual(code, 0, words)

    def test_a_mistyped_key_is_not(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "bad.yaml")
            path.write_text((DEPLOY / "config/scovilled.yaml").read_text().replace("devices:", "devics:"))
            code, words = run(SCOVILLED, "config", "check", path)
        self.assertNotEqual(code, 0)
        self.assertIn("devices", words)

    def test_every_policy_is_documented(self):
        code, words = run(SCOVILLED, "config", "schema")
        self.assertEqual(code, 0, words)
        keys = re.findall(r"(?m)^((?:scheduler|fairness|constraints)\.\w+)$", words)
        self.assertGreater(len(keys), 20)
        reference = (DEPLOY / "config/README.md").read_text()
        for key in keys:
            self.assertIn(f"`{key}`", reference)
        for key in re.findall(r"`((?:scheduler|fairness|constraints)\.\w+)`", reference):
            self.assertIn(key, keys)

    def test_example_shows_the_defaults(self):
        code, words = run(SCOVILLED, "config", "print", "--config", DEPLOY / "config/scovilled.yaml")
        self.assertEqual(code, 0, words)
        self.assertEqual(yaml.safe_load(words), yaml.safe_load(run(SCOVILLED, "config", "print")[1]))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if "--scovilled" in arguments:
        at = arguments.index("--scovilled")
        SCOVILLED = arguments[at + 1]
        del arguments[at:at + 2]
    unittest.main(argv=[sys.argv[0], *arguments])
