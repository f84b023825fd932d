#!/usr/bin/env python3
"""Breaks the program on purpose, one defect at a time, and sees whether a test fails.

    .ci/mutations.py DIRECTORY [--only WORD] [--part N/M]

DIRECTORY is a clone of the repository that may be changed; its `target` is used. Each defect is
built, its tests are run, and the file is put back. Prints a line per defect and, at the end,
"N killed, N survived"; a survivor is a test that is missing. Takes about a minute a defect.
"""

import argparse
import pathlib
import subprocess
import sys
import time

R, W, T, P, V = "src/resource/", "src/wiring/", "src/trust/", "src/pki/", "src/verify/"

# What is broken, in which file, the text and what takes its place, and the tests that may notice:
# of the binary, or with `lib:` unit tests. Those beside the code come next, then
# the broad ones; one that fails is enough.
DEFECTS = [
    ("a changed CA bundle is no difference", R + "trust_store.rs",
     'diff.content("ca_bundle", (bundle, shown(bundle)), live_bundle)',
     'diff.content("ca_bundle", (bundle, shown(bundle)), live_bundle.map(|_| (bundle, shown(bundle))))',
     "one_more_ca_widens_access"),
    ("a CA goes in before its CRL", R + "trust_store.rs",
     "        self.revocations\n            .iter()\n", "        self.revocations\n            .iter()\n            .take(0)\n",
     "the_crl_of_a_new_ca_is_there_before_the_ca"),
    ("tags of a trust store are not compared", R + "trust_store.rs",
     "        diff.tags(tags, live.map(|live| &live.tags));\n", "", "tags_are_set_and_removed_everywhere"),
    ("an old CRL is removed before the new one is added", R + "trust_store_revocation.rs",
     "const ADDS_FIRST: bool = true;", "const ADDS_FIRST: bool = false;", "a_crl_is_swapped_without_a_gap"),
    ("a CRL that goes never widens access", R + "trust_store_revocation.rs",
     "        vouched && !readmitted", "        false && vouched && !readmitted", "a_serial_or_a_crl_less_widens_access"),
    ("a lost reply adds a CRL twice", R + "trust_store_revocation.rs",
     "                match self.look_for(cx, &store).await? {\n                    Some(revocation) => revocation,\n                    None => self.add(cx, &store, &key).await?,\n                }",
     "                self.add(cx, &store, &key).await?", "an_apply_survives_a_fault_of_every_operation"),
    ("mode off is not sent", R + "listener.rs",
     "mutual_authentication: Some(self.mutual_authentication.wire(cx)?),",
     'mutual_authentication: Some(self.mutual_authentication.wire(cx)?).filter(|one| one.mode() != Some("off")),',
     "a_weaker_mode_is_sent_in_so_many_words"),
    ("a listener does not wait for its trust store", R + "listener.rs",
     "            needs.push(Need::ready(trust_store));\n", "", "everything_is_made_before no_client_notices"),
    ("a listener does not wait for its CRLs", R + "listener.rs",
     "            https\n                .revocations\n                .iter()\n", "            https\n                .revocations\n                .iter()\n                .take(0)\n",
     "lib:resource::listener"),
    ("a listener does not wait for its certificate", R + "listener.rs",
     "needs.push(Need::ready(&https.certificate));", "needs.push(Need::of(&https.certificate, super::Until::Created));",
     "another_certificate_is_issued_before no_client_notices"),
    ("a listener turns to a group before anything is registered there", R + "listener.rs",
     '.map(|address| Need::address(&address.part("targets"), Until::Exists))',
     '.map(|address| Need::address(&address.part("targets"), Until::Exists)).filter(|_| false)',
     "another_target_group_is_filled lib:resource::listener"),
    ("a new group gets requests at once", R + "listener.rs",
     "                .weight(0);", "                .weight(1);", "a_target_group_stays_until clients_do_not_notice"),
    ("the TLS policy is not compared", R + "listener.rs",
     'diff.field("ssl_policy", ssl_policy, live.map(|live| &live.ssl_policy))',
     'diff.field("ssl_policy", ssl_policy, live.map(|_| ssl_policy))', "a_weaker_tls_policy_widens"),
    ("a weaker TLS policy does not widen access", R + "listener.rs",
     "live.is_some_and(|live| tls_policy::accepts_more(ssl_policy, &live.ssl_policy))", "false",
     "a_weaker_tls_policy_widens"),
    ("targets are taken out before others are healthy", R + "target_registration.rs",
     "        self.wait_healthy(cx, group, &want, Patience::WhileInUse)\n            .await?;\n", "",
     "targets_follow_the_endpoint clients_do_not_notice"),
    ("targets are waited for although nobody checks them any more", R + "target_registration.rs",
     "        let is_over = patience == Patience::WhileInUse\n", "        let is_over = false && patience == Patience::WhileInUse\n",
     "targets_are_waited_for_only_as_long"),
    ("former targets stay registered", R + "target_registration.rs",
     "deregister(cx, group, |target| !want.contains(&name(target, self.port))).await?;",
     "deregister(cx, group, |target| false && !want.contains(&name(target, self.port))).await?;",
     "targets_follow_the_endpoint"),
    ("the matcher is not compared", R + "target_group.rs",
     "            live.map(|live| &live.matcher),", "            live.map(|_| matcher),", "the_check_of_a_target_group_is_changed drift"),
    ("attributes that left the file are not reset", R + "elbv2.rs",
     "        if before == Some(value) || (before.is_none() && !want.contains_key(key)) {",
     "        if before == Some(value) || !want.contains_key(key) {", "attributes_are_set_reset_and_left_alone"),
    ("tags that left the file stay", R + "elbv2.rs",
     "    if !removed.is_empty() {\n        let send = aws\n            .elbv2\n            .remove_tags()",
     "    if false && !removed.is_empty() {\n        let send = aws\n            .elbv2\n            .remove_tags()",
     "tags_are_set_and_removed_everywhere"),
    ("what has our name is taken for ours", R + "elbv2.rs",
     "            }\n        }),\n    };\n    places\n        .map(",
     "            }\n        }),\n    };\n    let claim = |stack: &str, address: &Address| Claim { owner: Owner::Ours, ..claim(stack, address) };\n    places\n        .map(",
     "refusals"),
    ("a record of somebody else's is overwritten", R + "record_set.rs",
     'Owner::Foreign(format!("the record {shown} exists and is not this stack\'s"))',
     'if shown.is_empty() { Owner::Foreign(shown) } else { Owner::Ours }',
     "a_record_that_somebody_took_over a_record_of_somebody_elses"),
    ("where a record leads is not compared", R + "record_set.rs",
     "            alias_dns_name,\n            live.map(|live| &live.alias_dns_name),",
     "            alias_dns_name,\n            live.map(|_| alias_dns_name),", "another_scheme_means_another_load_balancer drift"),
    ("a record does not wait for the load balancer", R + "record_set.rs",
     "Need::ready(&self.alias_dns_name).holds_until_gone()", "Need::of(&self.alias_dns_name, Until::Created)",
     "everything_is_made_before clients_are_sent_away no_client_notices"),
    ("ranges are closed before others are opened", R + "security_group.rs",
     "        authorize(\n            cx,\n            id,\n            Direction::Ingress,\n            ingress.difference(&live_ingress),\n        )\n        .await?;\n",
     "        revoke(cx, id, Direction::Ingress, live_ingress.difference(&ingress)).await?;\n        authorize(cx, id, Direction::Ingress, ingress.difference(&live_ingress)).await?;\n",
     "allowed_ranges_are_opened_before_others_are_closed"),
    ("a rule that somebody added stays", R + "security_group.rs",
     "                .difference(&ingress)\n", "                .difference(&ingress)\n                .take(0)\n",
     "a_door_that_somebody_opened_is_closed"),
    ("a changed definition is not deployed", R + "deployment.rs",
     'diff.field("content", &after, before.as_ref()).replaces();', 'diff.field("content", &after, Some(&after)).replaces();',
     "a_changed_definition_is_deployed"),
    ("a stage stays on its deployment", R + "stage.rs",
     'diff.late("deployment", deployment, live.map(|live| &live.deployment));',
     'diff.late("deployment", deployment, live.map(|_| deployment));', "a_changed_definition_is_deployed"),
    ("variables of a stage are not compared", R + "stage.rs",
     'diff.field("variables", variables, live.map(|live| &live.variables));',
     'diff.field("variables", variables, live.map(|_| variables));', "settings_of_a_stage_are_changed"),
    ("an API that somebody edited is as it should be", R + "rest_api.rs",
     "    if same && live.is_intact() {", "    if same {", "an_api_that_somebody_edited"),
    ("the policy of an API is not compared", R + "rest_api.rs",
     '        diff.field("policy", &after, before.as_ref())', '        diff.field("policy", &after, Some(&after))',
     "a_policy_that_lets_more_in"),
    ("stages of somebody else's are deleted with the API", R + "rest_api.rs",
     "            .filter(|one| stage::stack_of(one) != Some(&live.stack));",
     "            .filter(|one| stage::stack_of(one) == Some(&live.stack));", "a_stage_of_somebody_elses_holds_the_api"),
    ("a mapping stays on its API", R + "base_path_mapping.rs",
     'diff.late("api", api, live.map(|live| &live.api));', 'diff.late("api", api, live.map(|_| api));',
     "an_api_of_another_endpoint_type a_stage_and_a_mapping_moved"),
    ("the TLS versions of a domain are not compared", R + "domain_name.rs",
     "            live.map(|live| &live.security_policy),", "            live.map(|_| security_policy),", "drift"),
    ("an endpoint leaves subnets at once", R + "vpc_endpoint.rs",
     "        let left = live.subnets.difference(&self.subnets);\n        left.filter(",
     "        let left = live.subnets.difference(&self.subnets).take(0);\n        left.filter(",
     "clients_do_not_notice"),
    ("the policy of an endpoint is not compared", R + "vpc_endpoint.rs",
     'diff.field("policy", &policy, live_policy.as_ref())', 'diff.field("policy", &policy, Some(&policy))',
     "settings_of_the_endpoint_are_changed"),
    ("what others put under our key is taken for ours", R + "object.rs",
     'diff.field("content", &digest, live.map(Self::digest).as_ref());', 'diff.field("content", &digest, Some(&digest));',
     "drift"),
    ("a former bucket is forgotten", R + "object.rs",
     ".filter(|bucket| *bucket != scope.bucket);", ".filter(|bucket| *bucket != scope.bucket && bucket.is_empty());",
     "nothing_stays_in_a_bucket"),
    ("a lost reply makes a VPC link twice", R + "vpc_link.rs",
     "            Err(error) if error.uncertain => match self.made(cx, &target).await? {\n                Some(id) => id,\n                None => self.make(cx, &target).await?,\n            },",
     "            Err(error) if error.uncertain => self.make(cx, &target).await?,", "an_apply_survives_a_fault_of_every_operation"),
    ("somebody else's VPC link is not looked for", R + "vpc_link.rs",
     ".filter(|one| target_of(one) == target && tags_of(one).stack() != Some(stack));",
     ".filter(|one| target_of(one) == target && tags_of(one).stack() == Some(stack));",
     "somebody_elses_link_on_our_load_balancer"),
    ("a link that failed stays", R + "vpc_link.rs",
     'const LOST: [&str; 2] = ["FAILED", "DELETING"];', 'const LOST: [&str; 1] = ["DELETING"];', "lib:resource::vpc_link"),
    ("the policy of a log bucket is not compared", R + "log_bucket.rs",
     'diff.field("policy", policy, live.map(|live| &live.policy));', 'diff.field("policy", policy, live.map(|_| policy));', "drift"),
    ("a log bucket goes with its logs", R + "log_bucket.rs",
     "        retained: has_logs.then(|| {", "        retained: (has_logs && name.is_empty()).then(|| {",
     "servers_behind_client_certificates_are_applied"),
    ("late logs are not waited for", R + "log_bucket.rs",
     'let late = |error: &Error| error.is_code("BucketNotEmpty");', 'let late = |error: &Error| error.is_code("BucketEmpty");',
     "a_log_bucket_with_late_deliveries"),
    ("a private zone of somebody else's is taken for ours", R + "hosted_zone.rs",
     "let owner = Owner::Foreign(whose.clone());", "let owner = if whose.is_empty() { Owner::Foreign(whose.clone()) } else { Owner::Ours };",
     "a_private_zone_of_that_name_that_is_not_ours"),
    ("an API leads to targets that are not healthy yet", W + "backend.rs",
     "        Need::address(&group_address().part(\"targets\"), Until::Ready),\n", "", "clients_of_an_api_do_not_notice"),
    ("the VPC is led to a network load balancer that does not listen", W + "backend.rs",
     "destinations: vec![listener_address(), group_address().part(\"targets\")],", "destinations: Vec::new(),",
     "clients_of_an_api_do_not_notice"),
    ("a network load balancer remembers everybody's records", W + "gateway.rs",
     "resources.load_balancers.contains_key(&balancer)", "(balancer.as_str().is_empty() || !resources.load_balancers.is_empty())",
     "a_network_load_balancer_remembers_no_alias"),
    ("switches of a network load balancer are the wrong way round", W + "backend.rs",
     "            if on {\n                attributes.insert", "            if !on {\n                attributes.insert",
     "an_api_is_built_up_to_its_backend"),
    ("a network load balancer leaves subnets in place", R + "load_balancer.rs",
     "self.kind == Type::Network && !live.subnets.is_subset(&self.subnets)", "self.kind == Type::Application && !live.subnets.is_subset(&self.subnets)",
     "lib:resource::load_balancer"),
    ("what goes first waits for what waits for its successor", "src/plan.rs",
     "self.wishes.push((before, delete));", "self.edge(before, delete);", "lib:plan"),
    ("deletion protection is not looked at", R + "load_balancer.rs",
     '.map(String::as_str) == Some("true");', '.map(String::as_str) == Some("yes");', "deletion_protection_is_told"),
    ("public access to the bucket is not looked at", R + "bucket.rs",
     'diff.field("public_access_blocked", public_access_blocked, blocked);',
     'diff.field("public_access_blocked", public_access_blocked, blocked.map(|_| public_access_blocked));', "drift"),
    ("health is matcher 200", W + "gateway.rs",
     "matcher: check.matcher.clone(),", 'matcher: "200".to_owned(),', "a_first_plan_shows everything_is_made_before"),
    ("the load balancer may not reach the endpoint", W + "network.rs",
     "            .map(|group| Rule::tcp(443, Peer::Group(group)))\n            .collect();\n        let description",
     "            .map(|group| Rule::tcp(444, Peer::Group(group)))\n            .collect();\n        let description",
     "everything_is_made_before"),
    ("an expired CA refuses nobody", T + "check/chain.rs",
     "        let is_excused = position == 0 && options", "        let is_excused = position != 9 || options", "lib:trust::check"),
    ("a CA's own expiry is ignored with the client's", T + "check/chain.rs",
     "        let is_excused = position == 0 && options", "        let is_excused = options", "lib:trust::check"),
    ("self-issued CAs count in the path length", T + "check/chain.rs",
     "            below += u32::from(!certificate.is_self_issued());", "            below += 1;", "lib:trust::check"),
    ("only the client's purpose counts", T + "check/chain.rs",
     '        if !certificate.allows_purpose("clientAuth") {',
     '        if position == 0 && !certificate.allows_purpose("clientAuth") {', "lib:trust::check"),
    ("a revoked intermediate is accepted", T + "check/revocation.rs",
     "        for (position, &member) in path.iter().enumerate() {", "        for (position, &member) in path.iter().enumerate().take(1) {", "lib:trust::check"),
    ("the signature of a CRL is not checked", T + "check/revocation.rs",
     "                SignatureCheck::Valid if authority.allows_key_usage(\"cRLSign\") => return None,",
     "                _ if authority.allows_key_usage(\"cRLSign\") => return None,", "lib:trust::check"),
    ("what a client sends may sign CRLs", T + "check/path.rs",
     "all.filter(|member| self.is_trusted(*member) || path.contains(member))", "all.filter(|member| self.is_trusted(*member) || path.contains(member) || *member < usize::MAX)",
     "lib:trust::check"),
    ("signatures of a chain are not checked", T + "check/path.rs",
     "!is_repeated && stays_trusted && self.signature(last, issuer) != SignatureCheck::Invalid", "!is_repeated && stays_trusted && self.signature(last, issuer) != SignatureCheck::Unsupported", "lib:trust::check"),
    ("excluded names are permitted", T + "check/names.rs",
     "    if let Some(subtree) = excluded.find(|subtree| relation(name, subtree).touches()) {",
     "    if let Some(subtree) = excluded.find(|subtree| relation(name, subtree).touches() && name.kind() == NameKind::Dns) {", "lib:trust::check"),
    ("a refused client is no failure", "src/command/trust/check.rs",
     "        exit::REFUSED\n", "        exit::DONE\n", "a_client_is_judged_by_the_files_of_a_stack"),
    ("a bundle is not judged before it is uploaded", W + "trust.rs",
     "            trust::lint_bundle(bundle, self.now),", "            trust::lint_bundle(bundle, self.now).into_iter().take(0).collect(),",
     "refusals material"),
    ("find leads to the stack's own certificate", W + "trust.rs",
     "issued.iter().find(|one| !is_own(one))", "issued.iter().find(|one| is_own(one) || !is_own(one))",
     "a_certificate_that_is_looked_for"),
    ("the trust store does not remember its bucket", W + "trust.rs",
     "self.tags(&address).with(&key, value)", "{ drop((key, value)); self.tags(&address) }", "nothing_stays_in_a_bucket"),
    ("pki hands out a certificate before it is recorded", P + "authority.rs",
     "        index.add(Entry::of(&certificate));\n        self.write_index(&index)?;\n        files::make_directory(&self.directory.join(file::ISSUED))?;\n",
     "        files::make_directory(&self.directory.join(file::ISSUED))?;\n        index.add(Entry::of(&certificate));\n        self.write_index(&index)?;\n",
     "pki::store"),
    ("pki revokes what another CA issued", P + "authority.rs",
     "if !certificate.is_issued_by(&self.certificate) {", "if certificate.der.is_empty() {", "pki::refusals"),
    ("pki lets a certificate outlive its CA", P + "authority.rs",
     "        Ok(wanted.min(last))", "        Ok(wanted)", "pki::refusals"),
    ("pki does not keep to path lengths of CAs further up", P + "authority.rs",
     "(0_u32..).zip(above)", "(0_u32..).zip(above.take(1))", "pki::refusals"),
    ("pki uses the number of a CRL twice", P + "authority.rs",
     "successor(Some(number))?", "successor(None).map(|_| number)?", "pki::store"),
    ("pki signs requests without proof of the key", P + "request.rs",
     "SignatureCheck::Valid => {}", "SignatureCheck::Valid | SignatureCheck::Invalid if der.is_empty() || !der.is_empty() => {}\n            SignatureCheck::Valid => {}",
     "pki::foreign"),
    ("pki lets others read keys", P + "files.rs",
     "        Access::Owner => 0o600,", "        Access::Owner => 0o640,", "pki::store"),
    ("pki writes lists in the order of revoking", P + "document.rs",
     "        list.revoked.sort_by_key(|revoked| revoked.serial);\n", "        list.revoked.reverse();\n", "lib:pki::authority"),
    ("no connection passes for a refusal", V + "probes.rs",
     "        Seen::Unreachable(_) => Outcome::unreachable(expected, text),\n        Seen::Refused(_)",
     "        Seen::Unreachable(_) => Outcome::judged(expected, text, true),\n        Seen::Refused(_)",
     "what_cannot_be_reached_has_refused_nobody"),
    ("a handshake passes for being let in", V + "observe.rs",
     "    note(&stream, shared);\n    let Some(ask)", "    note(&stream, shared);\n    return Seen::Handshaken;\n    let Some(ask)",
     "a_good_gateway_passes_every_probe"),
    ("what breaks TLS passes for a refusal", V + "tls.rs",
     "return matches!(error, rustls::Error::AlertReceived(_));", "return true;", "lib:verify::tls"),
    ("TLS that ends early passes for refusing the client", V + "probes.rs",
     "Seen::NoTls(_) => Outcome::judged(expected, text, false)", "Seen::NoTls(_) => Outcome::judged(expected, text, true)",
     "lib:verify::probes what_is_no_http_has_refused_nobody"),
    ("a probe that is skipped counts as failed", "src/verify.rs",
     "matches!(self.verdict, Verdict::Failed | Verdict::Unreachable)", "self.verdict != Verdict::Passed",
     "a_good_gateway_passes_every_probe"),
    ("a gateway that cannot be reached is good enough", "src/verify.rs",
     "matches!(self.verdict, Verdict::Failed | Verdict::Unreachable)", "matches!(self.verdict, Verdict::Failed)",
     "what_cannot_be_reached_has_refused_nobody"),
    ("any root will do for the server's certificate", V + "server_trust.rs",
     "        Err(match telling.or(reasons.first()) {", "        if !reasons.is_empty() {\n            return Ok(String::new());\n        }\n        Err(match telling.or(reasons.first()) {",
     "lib:verify::server_trust"),
    ("a forged header that arrives is not noticed", V + "probes/headers.rs",
     "if answer.body.contains(&forgery) {", "if false && answer.body.contains(&forgery) {", "each_way_to_be_too_lenient_is_found"),
    ("a resumed session is not noticed", V + "probes/server.rs",
     "Outcome::judged(expected, observed, !is_resumed)", "Outcome::judged(expected, observed, true)", "each_way_to_be_too_lenient_is_found"),
]


# What is tried when nothing else has noticed: every field of every kind, and every key of a stack file.
LAST = ["drift", "pairs::any_stack"]


def run(directory, *command, timeout=900):
    try:
        return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        # A defect that has the program wait for ever is noticed as well.
        return subprocess.CompletedProcess(command, 124, "", "timed out")


def judge(directory, defect):
    what, file, old, new, tests = defect
    path = directory / file
    text = path.read_text()
    if text.count(old) != 1:
        return f"CANNOT BE MADE: the text is {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new))
    try:
        built = run(directory, "cargo", "test", "--no-run", "--test", "it")
        if built.returncode != 0:
            errors = [line for line in built.stderr.splitlines() if line.startswith("error")]
            return f"CANNOT BE BUILT: {errors[:1]}"
        beside = "lib:" + file.removeprefix("src/").removesuffix(".rs").replace("/", "::")
        for test in [*tests.split(), beside, *LAST]:
            target = ["--lib"] if test.startswith("lib:") else ["--test", "it"]
            outcome = run(directory, "cargo", "test", *target, test.removeprefix("lib:"))
            if outcome.returncode != 0:
                failed = [line for line in outcome.stdout.splitlines() if line.endswith("FAILED")]
                return "killed by " + (failed[0].split()[1] if failed else test)
        return "SURVIVED"
    finally:
        path.write_text(text)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("directory", type=pathlib.Path)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--part", default="1/1")
    arguments = arguments.parse_args()
    nth, of = (int(number) for number in arguments.part.split("/"))
    killed = survived = 0
    for defect in [one for one in DEFECTS if arguments.only in one[0]][nth - 1 :: of]:
        began = time.monotonic()
        verdict = judge(arguments.directory, defect)
        killed += verdict.startswith("killed")
        survived += not verdict.startswith("killed")
        print(f"{defect[0]} ({defect[1]}): {verdict} [{time.monotonic() - began:.0f} s]", flush=True)
    print(f"{killed} killed, {survived} survived")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
