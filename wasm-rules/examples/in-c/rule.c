// A rule in C: pings that carry data.
//
// What a ping sends is of no use to anybody, so systems fill it with a pattern: bytes that count up (Linux, after a time
// stamp of 16), or letters in their order (Windows). A tunnel fills it with what it carries. So bytes are counted that are
// neither the one before nor the one after it.
#include "bindings/rules.h"

#define TEXT(text) {(uint8_t *)(text), sizeof(text) - 1}
#define LIST(list) {(list), sizeof(list) / sizeof((list)[0])}
// Bytes that a time stamp may take.
#define STAMP 16

static rules_string_t buffers[] = {TEXT("payload")};

static rules_tuple2_string_string_t metadata[] = {{TEXT("mitre_technique_id"), TEXT("T1095")}};

static weir_rules_declaration_rule_t rules[] = {{
    .sid = 9200401,
    .rev = 1,
    .message = TEXT("WEIR a ping carries data"),
    .action = WEIR_RULES_DECLARATION_ACTION_ALERT,
    .class_ = {true, TEXT("policy-violation")},
    .header = TEXT("icmp any any -> any any"),
    .options = TEXT("itype:8; dsize:>63;"),
    .buffers = LIST(buffers),
    .metadata = LIST(metadata),
}};

void exports_rules_declare(rules_module_t *module) {
    *module = (rules_module_t){
        .name = TEXT("in-c"),
        .version = TEXT("1.0.0"),
        .state_version = 1,
        .rules = LIST(rules),
        .buffers = LIST(buffers),
    };
}

static bool carries_data(void) {
    rules_list_u8_t payload;
    if (!weir_rules_host_buffer(0, 0, &payload)) return false;
    size_t odd = 0, all = 0;
    for (size_t at = STAMP + 1; at < payload.len; at++, all++) {
        uint8_t step = (uint8_t)(payload.ptr[at] - payload.ptr[at - 1]);
        // Windows begins its letters again behind w.
        if (step > 1 && payload.ptr[at] != 'a') odd++;
    }
    rules_list_u8_free(&payload);
    return all > 0 && odd * 2 > all;
}

// There is one rule, so whoever asks, asks about it.
void exports_rules_evaluate(rules_list_u32_t *candidates, rules_list_u32_t *fired) {
    bool fires = candidates->len > 0 && carries_data();
    *fired = *candidates;
    if (!fires) fired->len = 0;
    if (!fires) rules_list_u32_free(candidates);
}
