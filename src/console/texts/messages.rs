//! Messages of the API in Chinese. The use cases and parsers write them in English, with names and values in them.

use std::borrow::Cow;

/// Message, with `{}` in place of each name or value.
struct Message {
    english: &'static str,
    /// `{0}` is the first of the names and values.
    chinese: &'static str,
}

macro_rules! messages {
    ($($english:literal => $chinese:literal,)*) => {
        &[$(Message { english: $english, chinese: $chinese },)*]
    };
}

/// Ordered: the first message that fits is used.
const MESSAGES: &[Message] = messages! {
    // Fields
    "is required" => "为必填项",
    "must not be blank" => "不能为空白",
    "must not be given twice" => "不能重复",
    "must not be given twice in a directory" => "在目录中不能重复",
    "must not be given twice in an import" => "在导入中不能重复",
    "must not be null; leave it out to get the default" => "不能为 null；省略则使用默认值",
    "must not be null; leave it out to keep it" => "不能为 null；省略则保持不变",
    "must be {} to {} characters long, not {}" => "长度必须为 {0} 至 {1} 个字符，现为 {2} 个",
    "must be 10 to 256 characters long" => "长度必须为 10 至 256 个字符",
    "must be 1 to 128 ASCII letters, digits, '.', '_', ':' or '-', beginning with a letter or digit" =>
        "必须是 1 至 128 个 ASCII 字母、数字、“.”“_”“:”或“-”，并以字母或数字开头",
    "must be 1 to 128 lower-case ASCII letters, digits, '.', '_', '@', '+' or '-', beginning with a letter or digit" =>
        "必须是 1 至 128 个小写 ASCII 字母、数字、“.”“_”“@”“+”或“-”，并以字母或数字开头",
    "must be 1 to 128 characters without control characters" => "必须是 1 至 128 个字符，不含控制字符",
    "must be 1 to 512 characters without control characters" => "必须是 1 至 512 个字符，不含控制字符",
    "must be a code of 1 to 128 characters without control characters" => "必须是 1 至 128 个字符的编码，不含控制字符",
    "must not contain control characters" => "不能含有控制字符",
    "must not contain control characters other than line breaks and tabs" => "除换行和制表符外，不能含有控制字符",
    "must not contain characters that change the direction of text" => "不能含有改变文字方向的字符",
    "must be {} hexadecimal digits" => "必须是 {0} 位十六进制数字",
    "must be an integer from {} to {}" => "必须是 {0} 至 {1} 之间的整数",
    "must be a number from 0 to 100 with at most two decimals" => "必须是 0 到 100 之间的数字，最多两位小数",
    "must be an API level from 2 to 65535" => "必须是 2 至 65535 之间的 API 级别",
    "must be a level from 1 to 5" => "必须是 1 至 5 之间的级别",
    "must be true or false" => "必须是 true 或 false",
    "must be true or false for exists" => "运算符为 exists 时必须是 true 或 false",
    "must be an RFC 3339 timestamp such as 2026-03-02T02:00:00Z" => "必须是 RFC 3339 时间，例如 2026-03-02T02:00:00Z",
    "must be in the future" => "必须晚于现在",
    "must be after starts_at" => "必须晚于开始时间",
    "must not be below host_version_min ({})" => "不能低于最低宿主版本（{0}）",
    "must be a name of the IANA time zone database, e.g. Asia/Shanghai" => "必须是 IANA 时区名称，例如 Asia/Shanghai",
    "must be an absolute URL without blanks, e.g. https://files.example/a.bin" =>
        "必须是不含空格的完整 URL，例如 https://files.example/a.bin",
    "must be an absolute http or https URL of at most {} characters, without a user, a query and a fragment" =>
        "必须是完整的 http 或 https URL，最多 {0} 个字符，不含用户、查询和片段",
    "must be a URL's scheme without its colon, such as https: 1 to {} ASCII letters, digits, '+', '-' or '.', beginning with a letter" =>
        "必须是 URL 协议名，不含冒号，例如 https：1 至 {0} 个 ASCII 字母、数字、“+”“-”或“.”，并以字母开头",
    "must begin with a scheme that the tenant allows" => "必须以租户允许的协议开头",
    "must list 1 to {} schemes; null allows any but harmful ones such as javascript and file" =>
        "必须列出 1 至 {0} 个协议；留空表示允许除 javascript、file 等有害协议以外的所有协议",
    "must be the name of a file, without a path" => "必须是文件名，不含路径",
    "must be an id returned by this API (a UUID)" => "必须是本系统给出的编号（UUID）",
    "must be 26 characters of lower-case base32" => "必须是 26 个小写 base32 字符",
    "must be one of {}" => "必须是以下之一：{0}",
    "must be platform_admin; others belong to a tenant" => "必须是 platform_admin；其他角色属于租户",
    "must differ from package_name" => "不能与包名相同",
    "must hold at most {} names" => "最多 {0} 个名称",
    "must hold at most {} entries, not {}" => "最多 {0} 项，现为 {1} 项",
    "must hold at most {} nodes, not {}" => "最多 {0} 个节点，现为 {1} 个",
    "must hold 1 to {} ids, not {}" => "必须有 1 至 {0} 个编号，现为 {1} 个",
    "must list at most {} memberships, not {}" => "最多 {0} 个归属，现为 {1} 个",
    "must be 1 to {} codes, from l1 down" => "必须是从 l1 开始的 1 至 {0} 个编码",
    "must name at least one of l1Code, l2Code, l3Code, l4Code, l5Code" => "至少需要一级编码",
    "must name 1 to {} devices, not {}; a device that is named again counts once" =>
        "必须有 1 至 {0} 台设备，现为 {1} 台；重复的设备只算一台",
    "must be a device that is known in the project {}; {} is not" => "必须是项目 {0} 中的已知设备；{1} 不是",
    "must be a device or an org node" => "必须是设备或组织节点",
    "must be absent if device_id is given" => "填写设备时必须留空",
    "must be left out when mode is hold" => "方式为“保持”时必须留空",
    "must be a resource of the app; a resource is created by its first release" =>
        "必须是该应用的资源；资源由它的第一个版本创建",
    "must be a version with a release that is not discarded; {} has none" =>
        "必须是有未丢弃的发布的版本；{0} 没有",
    "must be the package name of an app of the tenant" => "必须是该租户的应用的包名",
    "must be the id of a release of this app" => "必须是该应用的版本编号",
    "must not be the identifier of one of the app's resources" => "不能与该应用的资源标识符相同",
    "must not be one of the app's old package names; the app itself is released under its package_name" =>
        "不能是该应用的旧包名；应用本身以其包名发布",
    "must not be given beside artifact, which has an address of its own" => "使用已上传的文件时必须留空，文件有自己的地址",
    "must equal the one in the path, or be absent" => "必须与地址中的相同，或留空",
    "must be at most {} bytes as compact JSON, not {}" => "压缩后的 JSON 最多 {0} 字节，现为 {1} 字节",
    "must be a JSON object, e.g. {}" => "必须是 JSON 对象，例如 {0}",
    "must be JSON that can be stored; it {}" => "必须是可以保存的 JSON；它 {0}",
    "must be a SemVer requirement such as {} for semver" => "运算符为 semver 时必须是 SemVer 条件，例如 {0}",
    "must be a number for {}" => "运算符为 {0} 时必须是数字",
    "must be a text, number or boolean of at most {} characters for {}" =>
        "运算符为 {1} 时必须是最多 {0} 个字符的文本、数字或布尔值",
    "must be an array of 1 to {} texts, numbers or booleans for {}" =>
        "运算符为 {1} 时必须是 1 至 {0} 个文本、数字或布尔值的数组",
    "must be UTF-8" => "必须是 UTF-8 文本",
    "must be UTF-8; save the file as CSV UTF-8" => "必须是 UTF-8 文本；请将文件另存为 CSV UTF-8",
    "must have at most {} bytes" => "最多 {0} 字节",
    "must have no other part than file" => "除文件外不能有其他部分",
    "must have one part, named file" => "必须有一个名为 file 的部分",
    "must be preceded by at most {} fields" => "之前最多 {0} 个字段",
    "must be the last field of the form" => "必须是表单的最后一个字段",
    "must be a next_cursor returned by this list" => "页面位置无效，请从列表的第一页开始",
    "must be a next_cursor that this list gave" => "页面位置无效，请从列表的第一页开始",
    "must name these columns in this order: {}" => "必须按此顺序写出各列：{0}",
    "must be given without a pasted text" => "请只选择文件或粘贴文本之一",
    "must be {}, not {}" => "必须是{0}，而不是{1}",
    "has {} columns, not {}: {}" => "有 {0} 列，而不是 {1} 列：{2}",
    "columns are separated by commas, not semicolons; the columns are {}" => "各列以逗号分隔，而不是分号；各列为 {0}",
    "requires {}" => "还需要填写 {0}",
    "is unknown here; expected {}" => "不是此处的字段；可用的字段：{0}",
    "is not accepted: {}" => "不被接受：{0}",
    "is not valid JSON: {}" => "不是有效的 JSON：{0}",
    "is not valid JSON ({})" => "不是有效的 JSON（{0}）",
    "is not valid JSON" => "不是有效的 JSON",
    "is not a JSON object" => "不是 JSON 对象",
    "is not your password" => "不是您的密码",
    "is not the id of a known device" => "不是已知设备的编号",
    "is not a valid package: {}" => "不是有效的安装包：{0}",
    "is not an artifact of this tenant; upload the file first" => "不是该租户的文件；请先上传文件",
    "is not a valid form: {}" => "不是有效的表单：{0}",
    "is not one JSON value: {}" => "不是一个 JSON 值：{0}",
    "is not a channel of pushes" => "不是推送的通道",
    "is not a state of a push target" => "不是推送目标的状态",
    "is the address of an artifact; give its SHA-256 as artifact instead" => "是已上传文件的地址；请改填文件的 SHA-256",
    "is {}, but the file of the artifact has {}" => "为 {0}，但文件中为 {1}",
    "can no longer change; create a release with a new version_code" => "不能再修改；请使用新的版本号创建版本",
    "has no version_code" => "没有版本号",
    // Refusals
    "no such {}" => "找不到该内容",
    "the path or object does not exist, or is not accessible; check the path and its ids" =>
        "地址或内容不存在，或无权访问；请检查地址及其中的编号",
    "your role does not allow this; ask an administrator" => "您的角色不允许此操作；请联系管理员",
    "your tenant is disabled; ask the platform's administrator" => "您的租户已停用；请联系平台管理员",
    "the credential has no access to this tenant" => "无权访问该租户",
    "the credential was revoked, or its role changed, while the request was under way; nothing was written" =>
        "请求处理期间会话已结束或角色已变更；没有写入任何内容",
    "the form was not sent by a current page of this console; open the page again and repeat the input" =>
        "表单不是由本控制台的当前页面发送的；请重新打开页面并再次输入",
    "the username or the password is wrong" => "用户名或密码错误",
    "too many login attempts; wait {} seconds" => "登录尝试次数过多；请等待 {0} 秒",
    "too many enrolment codes were tried for this device; wait {} seconds" =>
        "该设备尝试的注册码过多；请等待 {0} 秒",
    "sign in" => "请登录",
    "sign in over https: {} was reached without TLS, and a password must not be sent in the clear. Behind a proxy, \
     set SLIPWAY_PUBLIC_URL or SLIPWAY_TRUSTED_PROXIES" =>
        "请通过 https 登录：访问 {0} 时没有使用 TLS，密码不能以明文发送。如使用代理，请设置 SLIPWAY_PUBLIC_URL 或 \
         SLIPWAY_TRUSTED_PROXIES",
    "a tenant with this id exists; choose another id" => "已有此编号的租户；请使用其他编号",
    "a package name is taken in this tenant, by an app or as one of its old names; choose another" =>
        "该租户的某个应用已使用此包名或旧包名；请使用其他包名",
    "this username is taken; choose another" => "此用户名已被使用；请使用其他用户名",
    "this object already exists; repeat the request" => "此内容已存在；请重试",
    "another release of this resource has this version_code" => "该资源的另一个版本已使用此版本号",
    "version {} exists with another digest (md5 {}); use a new version_code for a new file" =>
        "版本 {0} 已存在且摘要不同（MD5 {1}）；新文件请使用新的版本号",
    "the version exists already with other values of: {}; nothing was saved" =>
        "该版本已存在，以下字段的值不同：{0}；没有保存任何内容",
    "version_name {} of version {} contradicts {} of version {}; correct it, or publish with \"force\": true" =>
        "版本 {1} 的版本名称 {0} 与版本 {3} 的 {2} 矛盾；请更正，或勾选“即使版本名称与版本号矛盾也发布”",
    "version {} is signed by {}, but version {} by {}; Android refuses such an update. Sign it with the same key, or \
     publish with \"accept_signer_change\": true" =>
        "版本 {0} 的签名为 {1}，而版本 {2} 的签名为 {3}；安卓系统会拒绝这样的更新。请使用相同的密钥签名，或勾选\
         “即使签名密钥与最新版本不同也发布”",
    "the APK {}; publish a release build, or publish with \"accept_unsafe_package\": true" =>
        "安装包{0}；请发布正式构建，或勾选“即使安装包可调试、仅供测试或没有 v2 或 v3 签名也发布”",
    "has no v2 or v3 signature" => "没有 v2 或 v3 签名",
    "is debuggable" => "可调试",
    "is for tests only" => "仅供测试",
    "nobody" => "无",
    "the stored file of the artifact is damaged or missing; upload the file again" =>
        "存储的文件已损坏或丢失；请重新上传该文件",
    "the stored content of this file is damaged or missing; upload the file again" =>
        "存储的文件内容已损坏或丢失；请重新上传该文件",
    "the server has no address for downloads; set SLIPWAY_PUBLIC_URL (or SLIPWAY_DOWNLOAD_URL) and restart it" =>
        "服务器没有下载地址；请设置 SLIPWAY_PUBLIC_URL（或 SLIPWAY_DOWNLOAD_URL）并重启",
    "the app has published or paused releases; recall them before deleting it" =>
        "该应用有已发布或已暂停的版本；请先撤回，再删除应用",
    "release {} of {} (version_code {}, {}) uses this artifact; {}" =>
        "{1} 的版本 {2}（{3}，编号 {0}）使用此文件；{4}",
    "discard the release or move it to another artifact first" => "请先丢弃该版本，或改用其他文件",
    "the file of a release that was published is kept as long as its app exists" =>
        "已发布过的版本的文件会保留到应用被删除",
    "a {} release cannot be published; {}" => "{0}的版本不能发布；{1}",
    "a {} release cannot be paused; {}" => "{0}的版本不能暂停；{1}",
    "a {} release cannot be resumed; {}" => "{0}的版本不能恢复发布；{1}",
    "a {} release cannot be discarded; {}" => "{0}的版本不能丢弃；{1}",
    "a {} release cannot be recalled; {}" => "{0}的版本不能撤回；{1}",
    "the release is {}: its file facts and versions can no longer change" => "该版本{0}：文件信息和版本号不能再修改",
    "Android will not install an older version of an apk; recall with mode stop, and publish the older code again \
     under a higher version_code" =>
        "安卓系统不会安装更旧的安装包；请以“停止”方式撤回，并以更高的版本号重新发布旧代码",
    "draft" => "草稿状态",
    "published" => "已发布",
    "paused" => "已暂停",
    "recalled" => "已撤回",
    "discarded" => "已丢弃",
    "resume it" => "请恢复发布",
    "publish it" => "请发布",
    "create a release with a new version_code" => "请使用新的版本号创建版本",
    "only a published release can" => "只有已发布的版本可以",
    "devices may have it: recall it" => "设备可能已安装：请撤回",
    "no device has it: discard it" => "没有设备安装：请丢弃",
    "no device has it" => "没有设备安装",
    "the artifacts of the tenant use {} of {} bytes, and this file has {}; delete unused artifacts, or raise \
     artifact_quota_bytes" =>
        "该租户的文件已使用 {0} 字节，上限为 {1} 字节，此文件有 {2} 字节；请删除未使用的文件，或提高 artifact_quota_bytes",
    "the artifact store is full; free space or enlarge it, then repeat the request" =>
        "文件存储已满；请释放空间或扩容，然后重试",
    "the file is larger than {} bytes; the operator can raise SLIPWAY_ARTIFACT_MAX_BYTES" =>
        "文件超过 {0} 字节；运维可提高 SLIPWAY_ARTIFACT_MAX_BYTES",
    "the body is larger than {} bytes" => "内容超过 {0} 字节",
    "the received bytes have the SHA-256 {}, not {}; send the file again" =>
        "收到的内容的 SHA-256 为 {0}，而不是 {1}；请重新发送文件",
    // Failures
    "an unexpected error occurred; the server log contains it under the X-Request-Id of this response" =>
        "发生意外错误；服务器日志中有此请求编号的记录",
    "the database did not respond in time; retry later" => "数据库没有及时应答；请稍后重试",
    "the database did not answer within {} seconds; {}" => "数据库在 {0} 秒内没有应答；{1}",
    "the database did not confirm the write; {}" => "数据库没有确认写入；{0}",
    "the write may have been done: repeat the request with the same Idempotency-Key, or read the object first" =>
        "写入可能已完成：请再次发送，或先查看当前内容",
    "the write was not done: repeat the request later" => "没有写入：请稍后重试",
    "too many calls are under way; repeat the request in {} seconds" => "请求过多；请在 {0} 秒后重试",
    "the artifact store is unavailable; repeat the request later" => "文件存储不可用；请稍后重试",
    "the catalog has not been loaded yet; repeat the request later" => "目录尚未加载；请稍后重试",
    "the database is unreachable or grants no connection; {}" => "无法连接数据库；{0}",
    "the database's disk is full; {}" => "数据库的磁盘已满；{0}",
    "the database is read-only; {}" => "数据库为只读；{0}",
    "the database is locked: another transaction holds a required lock; {}" => "数据库被锁定；{0}",
    "the database took too long for a statement, which was cancelled; {}" => "数据库执行超时；{0}",
    "repeat the request later" => "请稍后重试",
    "repeat the request later, or ask for less at once" => "请稍后重试，或缩小范围",
    "end what holds the lock, or repeat the request later" => "请结束占用锁的操作，或稍后重试",
    "free space on its disk or raise its quota, then repeat the request" => "请释放磁盘空间或提高配额，然后重试",
    "connect the server to the primary or make the database writable, then repeat the request" =>
        "请将服务器连接到主库或使数据库可写，然后重试",
    "the body did not arrive in time; it may pause for at most {} s and take at most {} s in total" =>
        "内容没有及时到达；最多可停顿 {0} 秒，总计最多 {1} 秒",
    "the memory for slow request bodies is exhausted; retry later and send the body without pauses" =>
        "接收内容的内存已用尽；请稍后重试",
    "the file did not arrive in time; each {} bytes may take at most {} s" => "文件没有及时到达；每 {0} 字节最多 {1} 秒",
    "Content-Encoding {} is not supported; send the {} without it" => "不支持 Content-Encoding {0}",
    // Kinds of JSON values
    "a string" => "文本",
    "a boolean" => "布尔值",
    "a number" => "数字",
    "an array" => "数组",
    "an object" => "对象",
    "an integer up to {}" => "不超过 {0} 的整数",
    "null" => " null",
};

/// Returns a message in Chinese; unchanged if it has no text.
pub(super) fn in_chinese(message: &str) -> Cow<'_, str> {
    match translate(message).or_else(|| translate_after_name(message)) {
        Some(text) => Cow::Owned(text),
        None => Cow::Borrowed(message),
    }
}

fn translate(message: &str) -> Option<String> {
    MESSAGES
        .iter()
        .find_map(|known| Some(filled(known.chinese, &parts_of(message, known.english)?)))
}

/// Translates a message that begins with the name of a member, such as `path must be …` or `package_name: is required`.
fn translate_after_name(message: &str) -> Option<String> {
    let (name, rest) = message.split_once(' ')?;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.[]:".contains(&byte));
    let rest = translate(rest).or_else(|| translate_after_name(rest).filter(|_| name.ends_with(':')));
    Some(format!("{name} {}", rest.filter(|_| is_name)?))
}

/// Returns the names and values of a message; `None` if it is another message.
fn parts_of<'a>(message: &'a str, english: &str) -> Option<Vec<&'a str>> {
    let mut texts = english.split("{}");
    let mut rest = message.strip_prefix(texts.next()?)?;
    let mut parts = Vec::new();
    let mut texts = texts.peekable();
    while let Some(text) = texts.next() {
        let is_last = texts.peek().is_none();
        let end = if is_last {
            rest.strip_suffix(text)?.len()
        } else {
            rest.find(text)?
        };
        parts.push(&rest[..end]);
        rest = &rest[end + text.len()..];
    }
    rest.is_empty().then_some(parts)
}

fn filled(chinese: &str, parts: &[&str]) -> String {
    let mut text = chinese.to_owned();
    for (index, part) in parts.iter().enumerate() {
        let part: Vec<_> = part
            .split(" and ")
            .map(|word| translate(word).unwrap_or_else(|| word.to_owned()))
            .collect();
        text = text.replace(&format!("{{{index}}}"), &part.join("、"));
    }
    text
}

#[cfg(test)]
mod tests;
