# SPDX-License-Identifier: Apache-2.0
#
# Reads what CTest printed and its LastTest.log, and prints, for each test, a line
#   PASSED FAILED SKIPPED NAME
# A test's own last line "N passed, N failed, N skipped" counts, else what
# cmocka said, else the test is one case. A test that CTest calls failed has at
# least one failed case. LastTest.log calls skipped tests passed, hence the other.

function finish() {
  if (name == "")
    return
  if (!summed) {
    passed = cmocka_passed
    failed = cmocka_failed
    skipped = cmocka_skipped
    if (passed + failed + skipped == 0) {
      if (result == "pass")
        passed = 1
      else if (result == "skip")
        skipped = 1
    }
  }
  if (result == "fail" && failed == 0)
    failed = 1
  print passed + 0, failed + 0, skipped + 0, name
  name = ""
}

FNR == NR {
  if (/\*\*\*(Skipped|Not Run \(Disabled\))/)
    for (i = 1; i < NF; i++)
      if ($i ~ /^#[0-9]+:$/)
        skips[$(i + 1)] = 1
  next
}
/^[0-9]+\/[0-9]+ Testing: / {
  finish()
  name = $3
  result = "fail"
  summed = 0
  passed = failed = skipped = 0
  cmocka_passed = cmocka_failed = cmocka_skipped = 0
}
/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
  summed = 1
  passed = $1
  failed = $3
  skipped = $5
}
/^\[  PASSED  \] [0-9]+ test\(s\)/ { cmocka_passed += $4 }
/^\[  FAILED  \] [0-9]+ test\(s\)/ { cmocka_failed += $4 }
/^\[  SKIPPED \] [0-9]+ test\(s\)/ { cmocka_skipped += $4 }
/^Test Passed\.$/ { result = name in skips ? "skip" : "pass" }
/^Test Failed\.$/ { result = "fail" }
END { finish() }
